/* SPDX-License-Identifier: MIT */
/* The disks of a VM in a manifest. */
#include "manifest_yaml.h"

#include <string.h>

static struct mull_disk *this_disk(struct reader *reader)
{
	return &reader->manifest->vms[reader->vm].disks[reader->disk];
}

static void take_image(struct reader *reader, const struct word *word,
		       yaml_node_t *value)
{
	struct manifest_files *files = &reader->files;

	this_disk(reader)->kind = MULL_DISK_MEMORY;
	files->disks[reader->disk] = yaml_file(
		reader, word, value, &files->disks_there[reader->disk]);
}

static void take_name(struct reader *reader, const struct word *word,
		      yaml_node_t *value, char *name)
{
	const char *text = yaml_text(reader, word, value);

	if (!text)
		return;
	if (!*text || strlen(text) >= MULL_PARTITION_MAX) {
		yaml_wrong(reader, word, value,
			   "the name of a GPT partition, of 1 to 39 letters");
		return;
	}
	strcpy(name, text);
}

static void take_partition(struct reader *reader, const struct word *word,
			   yaml_node_t *value)
{
	this_disk(reader)->kind = MULL_DISK_PARTITION;
	take_name(reader, word, value, this_disk(reader)->partition);
}

static void take_overlay(struct reader *reader, const struct word *word,
			 yaml_node_t *value)
{
	take_name(reader, word, value, this_disk(reader)->overlay);
}

static void take_access(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	static const char *const accesses[] = { "private", "read-only",
						"read-write", NULL };
	static const uint32_t flags[] = { MULL_DISK_PRIVATE,
					  MULL_DISK_READ_ONLY, 0 };
	uint32_t index;

	if (yaml_choice(reader, word, value, accesses, &index)) {
		this_disk(reader)->flags = flags[index];
		reader->access_said = true;
	}
}

static void take_room(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	yaml_size(reader, word, value, &this_disk(reader)->room);
}

static const struct word disk_words[] = {
	{ "image", MULL_FIELD_DISKS, take_image },
	{ "partition", MULL_FIELD_DISKS, take_partition },
	{ "access", MULL_FIELD_DISKS, take_access },
	{ "room", MULL_FIELD_DISKS, take_room },
	{ "overlay", MULL_FIELD_DISKS, take_overlay },
	{ NULL, 0, NULL },
};

/* A name alone is that of an image. */
static void take_disk(struct reader *reader, yaml_node_t *node)
{
	struct mull_disk *disk = this_disk(reader);
	struct manifest_place *place = &reader->manifest->places[reader->vm];
	int list_line = place->lines[MULL_FIELD_DISKS];

	disk->flags = MULL_DISK_PRIVATE;
	reader->access_said = false;
	reader->files.disk_lines[reader->disk] = yaml_line(node);
	if (node->type == YAML_SCALAR_NODE)
		take_image(reader, &disk_words[0], node);
	else if (!yaml_take_words(reader, node, disk_words, "the disk"))
		place->said[MULL_FIELD_DISKS] = true;
	else if (disk->kind == MULL_DISK_NONE)
		manifest_complain(reader->manifest, reader->vm, yaml_line(node),
				  MULL_FIELD_DISKS,
				  "disk %u has neither image nor partition",
				  reader->disk);
	if (disk->kind == MULL_DISK_PARTITION && !reader->access_said)
		disk->flags = disk->overlay[0] ? MULL_DISK_PRIVATE : 0;
	/* How large it is the machine alone knows. */
	if (disk->kind == MULL_DISK_PARTITION &&
	    disk->flags == MULL_DISK_PRIVATE && !disk->room &&
	    !disk->overlay[0])
		manifest_complain(
			reader->manifest, reader->vm, yaml_line(node),
			MULL_FIELD_DISKS,
			"disk %u is a private partition and says "
			"neither room nor overlay for what is written",
			reader->disk);
	/* Its words are those of the same field. */
	place->lines[MULL_FIELD_DISKS] = list_line;
}

void take_disks(struct reader *reader, const struct word *word,
		yaml_node_t *value)
{
	yaml_node_item_t *item;

	if (value->type != YAML_SEQUENCE_NODE) {
		yaml_wrong(reader, word, value,
			   "a list of disks such as [root.img]");
		return;
	}
	reader->disk = 0;
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++) {
		yaml_node_t *node = yaml_node(reader, *item);

		if (reader->disk == MULL_DISK_MAX) {
			manifest_complain(reader->manifest, reader->vm,
					  yaml_line(node), word->field,
					  "has more than %d disks",
					  MULL_DISK_MAX);
			return;
		}
		take_disk(reader, node);
		reader->disk++;
	}
}
