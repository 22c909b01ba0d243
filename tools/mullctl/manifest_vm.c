/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <mullion/bits.h>
#include <string.h>

#include "image_file.h"
#include "manifest_yaml.h"
#include "texts.h"

static struct mull_vm *this_vm(struct reader *reader)
{
	return &reader->manifest->vms[reader->vm];
}

/* A name that does not fit is cut off for messages, and refused. */
static void set_name(struct reader *reader, const char *text, int line)
{
	strncpy(this_vm(reader)->name, text, MULL_NAME_MAX - 1);
	if (strlen(text) >= MULL_NAME_MAX)
		manifest_complain(reader->manifest, reader->vm, line,
				  MULL_FIELD_NAME,
				  "the name is longer than %d letters",
				  MULL_NAME_MAX - 1);
}

static void take_name(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	const char *text;

	text = yaml_text(reader, word, value);
	if (!text)
		return;
	/* Found before the other words, so that messages can use it; in a
	 * map of VMs it stands before the colon. */
	if (!this_vm(reader)->name[0])
		set_name(reader, text, yaml_line(value));
	else if (strncmp(text, this_vm(reader)->name, MULL_NAME_MAX - 1) != 0)
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "has a second name, \"%.40s\"", text);
}

static void take_size(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	yaml_size(reader, word, value, &this_vm(reader)->memory_size);
}

static void take_elastic(struct reader *reader, const struct word *word,
			 yaml_node_t *value)
{
	bool yes;

	if (yaml_bool(reader, word, value, &yes) && yes)
		this_vm(reader)->flags |= MULL_VM_ELASTIC;
}

static void take_least(struct reader *reader, const struct word *word,
		       yaml_node_t *value)
{
	uint64_t size;

	if (!yaml_size(reader, word, value, &size))
		return;
	if (size % FRAME_SIZE || size / FRAME_SIZE > UINT32_MAX)
		yaml_wrong(reader, word, value, "a multiple of 2 MiB");
	else
		this_vm(reader)->memory_least = (uint32_t)(size / FRAME_SIZE);
}

/* "memory: 64MiB", or {size: 1GiB, elastic: true, least: 256MiB}; the least is a
 * quarter if nothing is said. */
static void take_memory(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	static const struct word memory_words[] = {
		{ "size", MULL_FIELD_MEMORY, take_size },
		{ "elastic", MULL_FIELD_MEMORY, take_elastic },
		{ "least", MULL_FIELD_MEMORY, take_least },
		{ NULL, 0, NULL },
	};
	struct mull_vm *vm = this_vm(reader);

	if (value->type != YAML_MAPPING_NODE) {
		take_size(reader, word, value);
		return;
	}
	yaml_take_words(reader, value, memory_words, "memory");
	if (vm->flags & MULL_VM_ELASTIC && !vm->memory_least)
		vm->memory_least = (uint32_t)round_up(
					   vm->memory_size / FRAME_SIZE, 4) /
				   4;
}

/* "cpus: 2": those that no VM has. */
static void choose_cpus(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	const struct manifest_target *target = reader->manifest->target;
	struct mull_vm *vm = this_vm(reader);
	uint32_t count;

	if (!yaml_number(reader, word, value, 0, MULL_VCPU_MAX, &count))
		return;
	if (!count || count > target->free_cpu_count) {
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "takes %u processors, but %u are free "
				  "(mullctl stats shows them)",
				  count, target->free_cpu_count);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		vm->cpus[i] = (uint16_t)target->free_cpus[i];
	vm->vcpu_count = count;
}

static void take_cpus(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	struct mull_vm *vm = this_vm(reader);
	yaml_node_item_t *item;

	if (reader->manifest->target && value->type == YAML_SCALAR_NODE) {
		choose_cpus(reader, word, value);
		return;
	}
	if (value->type != YAML_SEQUENCE_NODE ||
	    value->data.sequence.items.start ==
		    value->data.sequence.items.top) {
		yaml_wrong(reader, word, value,
			   "a list of processors such as [1, 2]");
		return;
	}
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++) {
		uint32_t cpu;

		if (vm->vcpu_count == MULL_VCPU_MAX) {
			manifest_complain(reader->manifest, reader->vm,
					  yaml_line(value), word->field,
					  "cpus has more than %d entries",
					  MULL_VCPU_MAX);
			return;
		}
		if (!yaml_number(reader, word, yaml_node(reader, *item), 0,
				 MULL_CPU_MAX - 1, &cpu))
			return;
		vm->cpus[vm->vcpu_count++] = (uint16_t)cpu;
	}
}

/* @text as a path relative to the manifest. */
static char *path_beside(const struct manifest *manifest, const char *text)
{
	const char *slash = strrchr(manifest->file, '/');

	if (text[0] == '/' || !slash)
		return texts_format("%s", text);
	return texts_format("%.*s/%s", (int)(slash - manifest->file),
			    manifest->file, text);
}

/* A name without a slash may be an image's of the hypervisor. */
static const struct mull_image_status *
find_there(const struct manifest_target *target, const char *name)
{
	for (size_t i = 0; target && i < target->image_count; i++)
		if (!strcmp(target->images[i].name, name))
			return &target->images[i];
	return NULL;
}

char *yaml_file(struct reader *reader, const struct word *word,
		yaml_node_t *value, const struct mull_image_status **there)
{
	const char *text = yaml_text(reader, word, value);

	*there = text ? find_there(reader->manifest->target, text) : NULL;
	if (!text || *there)
		return NULL;
	if (*text)
		return path_beside(reader->manifest, text);
	yaml_wrong(reader, word, value, "the name of a file");
	return NULL;
}

static void take_file(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	struct manifest_files *files = &reader->files;

	if (word->field == MULL_FIELD_KERNEL &&
	    (files->kernel || files->kernel_there))
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "has a kernel and firmware; one of them "
				  "starts it");
	else if (word->field == MULL_FIELD_KERNEL)
		files->kernel = yaml_file(reader, word, value,
					  &files->kernel_there);
	else
		files->initrd = yaml_file(reader, word, value,
					  &files->initrd_there);
}

static void take_type(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	static const char *const types[] = { "linux",	   "elf",
					     "pvh",	   "multiboot",
					     "multiboot2", "firmware",
					     NULL };
	uint32_t index;

	if (yaml_choice(reader, word, value, types, &index))
		reader->files.type = image_kind_of(types[index]);
}

/* In the kernel's place, since no file says of itself that it is one. */
static void take_firmware(struct reader *reader, const struct word *word,
			  yaml_node_t *value)
{
	bool other = reader->files.kernel || reader->files.kernel_there;

	take_file(reader, word, value);
	if (!other)
		reader->files.type = MULL_IMAGE_FIRMWARE;
}

static void take_command_line(struct reader *reader, const struct word *word,
			      yaml_node_t *value)
{
	const char *text = yaml_text(reader, word, value);
	size_t length = text ? strlen(text) : 0;

	/* Block scalars end with a newline that nobody means. */
	while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
		length--;
	if (length >= MULL_COMMAND_LINE_MAX)
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "cmdline is longer than %d bytes",
				  MULL_COMMAND_LINE_MAX - 1);
	else if (text)
		memcpy(this_vm(reader)->command_line, text, length);
}

static void take_autostart(struct reader *reader, const struct word *word,
			   yaml_node_t *value)
{
	bool yes;

	if (yaml_bool(reader, word, value, &yes) && !yes)
		this_vm(reader)->flags &= ~(uint32_t)MULL_VM_AUTOSTART;
}

static void take_platform(struct reader *reader, const struct word *word,
			  yaml_node_t *value)
{
	static const char *const platforms[] = { "pc", NULL };
	uint32_t index;

	if (yaml_choice(reader, word, value, platforms, &index))
		this_vm(reader)->flags |= MULL_VM_PLATFORM_PC;
}

static void take_local_apic(struct reader *reader, const struct word *word,
			    yaml_node_t *value)
{
	static const char *const kinds[] = { "emulated", NULL };
	uint32_t index;

	if (yaml_choice(reader, word, value, kinds, &index))
		this_vm(reader)->flags |= MULL_VM_EMULATED_APIC;
}

static void take_policy(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	static const char *const policies[] = { "stop", "restart", NULL };
	struct mull_vm *vm = this_vm(reader);
	uint32_t index, policy;

	if (!yaml_choice(reader, word, value, policies, &index))
		return;
	policy = index ? MULL_END_RESTART : MULL_END_STOP;
	if (strcmp(word->name, "on-poweroff") == 0)
		vm->on_poweroff = policy;
	else if (strcmp(word->name, "on-reset") == 0)
		vm->on_reset = policy;
	else
		vm->on_crash = policy;
}

static void take_console(struct reader *reader, const struct word *word,
			 yaml_node_t *value)
{
	uint64_t size;

	if (yaml_size(reader, word, value, &size))
		this_vm(reader)->console_size = size > UINT32_MAX ?
							UINT32_MAX :
							(uint32_t)size;
}

static struct mull_shared *this_shared(struct reader *reader)
{
	return &this_vm(reader)->shared[reader->shared];
}

static void take_shared_name(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	const char *text = yaml_text(reader, word, value);

	if (text && (!*text || strlen(text) >= MULL_LABEL_MAX))
		yaml_wrong(reader, word, value, "1 to 15 letters");
	else if (text)
		strcpy(this_shared(reader)->name, text);
}

static void take_shared_size(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	yaml_size(reader, word, value, &this_shared(reader)->size);
}

static void take_shared_write(struct reader *reader, const struct word *word,
			      yaml_node_t *value)
{
	bool yes;

	if (yaml_bool(reader, word, value, &yes) && yes)
		this_shared(reader)->flags |= MULL_SHARED_WRITE;
}

static const struct word shared_words[] = {
	{ "name", MULL_FIELD_SHARED, take_shared_name },
	{ "size", MULL_FIELD_SHARED, take_shared_size },
	{ "write", MULL_FIELD_SHARED, take_shared_write },
	{ NULL, 0, NULL },
};

static bool read_shared(struct reader *reader, const struct word *word,
			yaml_node_t *node)
{
	struct manifest_place *place = &reader->manifest->places[reader->vm];

	if (!yaml_take_words(reader, node, shared_words, "shared"))
		return false;
	if (this_shared(reader)->name[0])
		return true;
	if (!place->said[word->field])
		manifest_complain(reader->manifest, reader->vm, yaml_line(node),
				  word->field, "a shared memory has no name");
	return false;
}

static void take_shared(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	yaml_node_item_t *item;

	if (value->type != YAML_SEQUENCE_NODE) {
		yaml_wrong(reader, word, value,
			   "a list such as [{name: ring, size: 64KiB}]");
		return;
	}
	reader->shared = 0;
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++) {
		yaml_node_t *node = yaml_node(reader, *item);

		if (reader->shared == MULL_SHARED_MAX) {
			manifest_complain(reader->manifest, reader->vm,
					  yaml_line(node), word->field,
					  "shared has more than %d entries",
					  MULL_SHARED_MAX);
			return;
		}
		if (read_shared(reader, word, node))
			reader->shared++;
		else
			memset(this_shared(reader), 0,
			       sizeof *this_shared(reader));
	}
}

/* "30s", or "30". */
static void take_watchdog(struct reader *reader, const struct word *word,
			  yaml_node_t *value)
{
	const char *text = yaml_text(reader, word, value);
	char *number = text ? texts_format("%s", text) : NULL;
	size_t length = text ? strlen(text) : 0;
	uint64_t seconds;

	if (length && number[length - 1] == 's')
		number[length - 1] = 0;
	if (text && (!texts_to_number(number, &seconds) || !seconds ||
		     seconds > UINT32_MAX))
		yaml_wrong(reader, word, value, "a number of seconds (30s)");
	else if (text)
		this_vm(reader)->watchdog = (uint32_t)seconds;
	free(number);
}

static const struct word vm_words[] = {
	{ "name", MULL_FIELD_NAME, take_name },
	{ "memory", MULL_FIELD_MEMORY, take_memory },
	{ "cpus", MULL_FIELD_CPUS, take_cpus },
	{ "kernel", MULL_FIELD_KERNEL, take_file },
	{ "firmware", MULL_FIELD_KERNEL, take_firmware },
	{ "type", MULL_FIELD_KERNEL, take_type },
	{ "initrd", MULL_FIELD_INITRD, take_file },
	{ "modules", MULL_FIELD_MODULES, take_modules },
	{ "disks", MULL_FIELD_DISKS, take_disks },
	{ "cmdline", MULL_FIELD_COMMAND_LINE, take_command_line },
	{ "autostart", MULL_FIELD_FLAGS, take_autostart },
	{ "platform", MULL_FIELD_FLAGS, take_platform },
	{ "local-apic", MULL_FIELD_FLAGS, take_local_apic },
	{ "on-poweroff", MULL_FIELD_POLICY, take_policy },
	{ "on-reset", MULL_FIELD_POLICY, take_policy },
	{ "on-crash", MULL_FIELD_POLICY, take_policy },
	{ "console", MULL_FIELD_CONSOLE, take_console },
	{ "shared", MULL_FIELD_SHARED, take_shared },
	{ "watchdog", MULL_FIELD_WATCHDOG, take_watchdog },
	{ "networks", MULL_FIELD_NETWORKS, take_networks },
	{ "vsock", MULL_FIELD_VSOCK, take_vsock },
	{ "cache", MULL_FIELD_CACHE, take_cache },
	{ NULL, 0, NULL },
};

/* The value of the word "name", which may stand anywhere in the mapping. */
static void find_name(struct reader *reader, yaml_node_t *node)
{
	yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return;
	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_node(reader, pair->key);
		yaml_node_t *value = yaml_node(reader, pair->value);

		if (key->type == YAML_SCALAR_NODE &&
		    value->type == YAML_SCALAR_NODE &&
		    !strcmp((char *)key->data.scalar.value, "name")) {
			take_name(reader, &vm_words[0], value);
			return;
		}
	}
}

static void require(struct reader *reader, enum mull_field field,
		    const char *words)
{
	struct manifest_place *place = &reader->manifest->places[reader->vm];

	if (!place->lines[field] && !place->said[field])
		manifest_complain(reader->manifest, reader->vm, 0, field, "%s",
				  words);
}

void manifest_read_vm(struct reader *reader, const yaml_node_t *name,
		      yaml_node_t *node)
{
	struct manifest *manifest = reader->manifest;
	struct manifest_place *place = &manifest->places[manifest->vm_count];

	reader->vm = (int)manifest->vm_count++;
	*this_vm(reader) = manifest_default_vm;
	place->line = yaml_line(name ? name : node);
	if (name && name->type == YAML_SCALAR_NODE) {
		place->lines[MULL_FIELD_NAME] = place->line;
		set_name(reader, (char *)name->data.scalar.value, place->line);
	} else {
		find_name(reader, node);
	}
	if (yaml_take_words(reader, node, vm_words, "the VM")) {
		require(reader, MULL_FIELD_NAME, "has no name");
		require(reader, MULL_FIELD_MEMORY, "has no memory");
		require(reader, MULL_FIELD_CPUS, "has no cpus");
		manifest_add_files(manifest, (size_t)reader->vm,
				   &reader->files);
	} else {
		/* nothing more to say about it */
		memset(place->said, true, sizeof place->said);
	}
	reader->vm = MANIFEST_ITSELF;
}
