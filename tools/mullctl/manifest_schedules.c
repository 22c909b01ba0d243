/* SPDX-License-Identifier: MIT */
/*
 * "schedules" of the machine.  Slots name VMs, which stand further down in the
 * file: so their names are kept until all is read.
 */
#include <stdlib.h>
#include <string.h>

#include "manifest_yaml.h"
#include "texts.h"

/* A VM's name in a schedule. */
struct manifest_part {
	char name[MULL_NAME_MAX];
	uint32_t schedule, bits; /* of mull_vm.slots */
	int line;
};

static struct mull_schedule *this_schedule(struct reader *reader)
{
	return &reader->manifest->machine.schedules[reader->schedule];
}

static void complain(struct reader *reader, const yaml_node_t *node,
		     const char *words)
{
	manifest_complain(reader->manifest, MULL_MACHINE_ITSELF,
			  yaml_line(node), MULL_FIELD_SCHEDULES,
			  "schedule %.15s: %s", this_schedule(reader)->name,
			  words);
}

/* ---- names of VMs -------------------------------------------------------- */

static void take_part(struct reader *reader, yaml_node_t *node, uint32_t bits)
{
	static const struct word word = { "a VM's name", MULL_FIELD_SCHEDULES,
					  NULL };
	struct manifest *manifest = reader->manifest;
	const char *name = yaml_text(reader, &word, node);
	struct manifest_part *part;

	if (!name)
		return;
	manifest->parts = memory_get(manifest->parts,
				     (manifest->part_count + 1) *
					     sizeof *manifest->parts);
	part = &manifest->parts[manifest->part_count++];
	*part = (struct manifest_part){ .schedule = reader->schedule,
					.bits = bits,
					.line = yaml_line(node) };
	/* What is longer is no VM's name. */
	strncpy(part->name, name, sizeof part->name - 1);
}

/* A list of names, or a single one. */
static void take_parts(struct reader *reader, yaml_node_t *value, uint32_t bits)
{
	yaml_node_item_t *item;

	if (value->type != YAML_SEQUENCE_NODE) {
		take_part(reader, value, bits);
		return;
	}
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++)
		take_part(reader, yaml_node(reader, *item), bits);
}

static struct mull_vm *find_vm(struct manifest *manifest, const char *name)
{
	for (size_t i = 0; i < manifest->vm_count; i++)
		if (!strcmp(manifest->vms[i].name, name))
			return &manifest->vms[i];
	return NULL;
}

void manifest_give_slots(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->part_count; i++) {
		const struct manifest_part *part = &manifest->parts[i];
		struct mull_vm *vm = find_vm(manifest, part->name);

		if (vm)
			vm->slots[part->schedule] |= part->bits;
		else
			manifest_complain(
				manifest, MULL_MACHINE_ITSELF, part->line,
				MULL_FIELD_SCHEDULES,
				"schedule %.15s names vm \"%s\", which is not "
				"there",
				manifest->machine.schedules[part->schedule]
					.name,
				part->name);
	}
}

/* ---- slots --------------------------------------------------------------- */

static bool to_microseconds(const char *text, uint32_t *microseconds)
{
	static const struct {
		const char *name;
		uint32_t microseconds;
	} units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 } };
	size_t digits = strspn(text, "0123456789");
	unsigned long number = strtoul(text, NULL, 10);

	if (!digits || digits > 8)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (!strcmp(text + digits, units[i].name) &&
		    number <= MULL_FRAME_US_MAX / units[i].microseconds) {
			*microseconds = (uint32_t)number *
					units[i].microseconds;
			return true;
		}
	return false;
}

static void take_length(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	struct mull_schedule *schedule = this_schedule(reader);
	const char *text = yaml_text(reader, word, value);
	uint32_t *length = &schedule->slots_us[schedule->slot_count - 1];

	if (text && !to_microseconds(text, length))
		yaml_wrong(reader, word, value,
			   "a time up to 10 s, such as 500us or 4ms");
}

static void take_slot_vms(struct reader *reader, const struct word *word,
			  yaml_node_t *value)
{
	(void)word;
	take_parts(reader, value,
		   1u << (this_schedule(reader)->slot_count - 1));
}

static void take_slot(struct reader *reader, yaml_node_t *node)
{
	static const struct word words[] = {
		{ "length", MULL_FIELD_SCHEDULES, take_length },
		{ "vms", MULL_FIELD_SCHEDULES, take_slot_vms },
		{ NULL, 0, NULL },
	};
	struct mull_schedule *schedule = this_schedule(reader);
	size_t before = reader->manifest->mistakes.count;
	uint32_t *length = &schedule->slots_us[schedule->slot_count++];

	yaml_take_words(reader, node, words, "the slot");
	if (*length < MULL_SLOT_US_MIN &&
	    reader->manifest->mistakes.count == before)
		complain(reader, node,
			 "a slot has no length of at least 100us");
}

static void take_slots(struct reader *reader, const struct word *word,
		       yaml_node_t *value)
{
	yaml_node_item_t *item;

	if (value->type != YAML_SEQUENCE_NODE) {
		yaml_wrong(reader, word, value,
			   "a list of mappings of length and vms");
		return;
	}
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++) {
		yaml_node_t *node = yaml_node(reader, *item);

		if (this_schedule(reader)->slot_count == MULL_SLOT_MAX) {
			complain(reader, node, "there are more than 16 slots");
			return;
		}
		take_slot(reader, node);
	}
}

static void take_background(struct reader *reader, const struct word *word,
			    yaml_node_t *value)
{
	(void)word;
	take_parts(reader, value, MULL_SLOT_BACKGROUND);
}

/* ---- schedules ----------------------------------------------------------- */

static void take_schedule(struct reader *reader, yaml_node_t *key,
			  yaml_node_t *node)
{
	static const struct word name_word = { "a schedule's name",
					       MULL_FIELD_SCHEDULES, NULL };
	static const struct word words[] = {
		{ "slots", MULL_FIELD_SCHEDULES, take_slots },
		{ "background", MULL_FIELD_SCHEDULES, take_background },
		{ NULL, 0, NULL },
	};
	const char *name = yaml_text(reader, &name_word, key);
	struct mull_schedule *schedule = this_schedule(reader);
	size_t before = reader->manifest->mistakes.count;

	if (!name)
		return;
	if (!*name || strlen(name) >= sizeof schedule->name) {
		yaml_wrong(reader, &name_word, key, "1 to 15 characters");
		return;
	}
	strcpy(schedule->name, name);
	yaml_take_words(reader, node, words, "the schedule");
	if (!schedule->slot_count && reader->manifest->mistakes.count == before)
		complain(reader, node, "there are no slots");
	reader->schedule++;
}

void take_schedules(struct reader *reader, const struct word *word,
		    yaml_node_t *value)
{
	yaml_node_pair_t *pair;

	if (value->type != YAML_MAPPING_NODE) {
		yaml_wrong(reader, word, value,
			   "a mapping of names to schedules");
		return;
	}
	for (pair = value->data.mapping.pairs.start;
	     pair < value->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_node(reader, pair->key);

		if (reader->schedule == MULL_SCHEDULE_MAX) {
			manifest_complain(reader->manifest, reader->vm,
					  yaml_line(key), word->field,
					  "there are more than %d schedules",
					  MULL_SCHEDULE_MAX);
			return;
		}
		take_schedule(reader, key, yaml_node(reader, pair->value));
	}
	reader->manifest->machine_place.lines[word->field] = yaml_line(value);
}
