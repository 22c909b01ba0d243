/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_yaml.h"
#include "texts.h"

/* ---- the machine's words ------------------------------------------------ */

static void take_machine_number(struct reader *reader, const struct word *word,
				yaml_node_t *value)
{
	struct mull_machine *machine = &reader->manifest->machine;
	bool cpus = word->field == MULL_FIELD_MACHINE_CPUS;

	if (cpus)
		yaml_number(reader, word, value, 1, MULL_CPU_MAX,
			    &machine->cpu_count);
	else
		yaml_number(reader, word, value, 0, MULL_CPU_MAX - 1,
			    &machine->service_cpu);
}

static void take_machine_memory(struct reader *reader, const struct word *word,
				yaml_node_t *value)
{
	yaml_size(reader, word, value, &reader->manifest->machine.memory_size);
}

static void take_share(struct reader *reader, const struct word *word,
		       yaml_node_t *value)
{
	bool yes;

	if (yaml_bool(reader, word, value, &yes) && yes)
		reader->manifest->machine.flags |= MULL_MACHINE_SHARE_CPUS;
}

static void take_serial_mode(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	static const char *const modes[] = {
		[MULL_SERIAL_NONE] = "none",
		[MULL_SERIAL_TEXT] = "text",
		[MULL_SERIAL_CHANNEL] = "channel",
		NULL,
	};

	yaml_choice(reader, word, value, modes,
		    &reader->manifest->machine.serial_mode);
}

static void take_serial_port(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	yaml_number(reader, word, value, 0, 0xffff,
		    &reader->manifest->machine.serial_port);
}

static void take_serial_baud(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	yaml_number(reader, word, value, 0, 115200,
		    &reader->manifest->machine.serial_baud);
}

static void take_serial(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	static const struct word words[] = {
		{ "mode", MULL_FIELD_SERIAL, take_serial_mode },
		{ "port", MULL_FIELD_SERIAL, take_serial_port },
		{ "baud", MULL_FIELD_SERIAL, take_serial_baud },
		{ NULL, 0, NULL },
	};

	yaml_take_words(reader, value, words, word->name);
}

static void take_mitigations(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	static const char *const words[] = {
		[MULL_MITIGATIONS_AUTO] = "auto",
		[MULL_MITIGATIONS_OFF] = "off",
		[MULL_MITIGATIONS_ALL] = "all",
		NULL,
	};

	yaml_choice(reader, word, value, words,
		    &reader->manifest->machine.mitigations);
}

static const struct word machine_words[] = {
	{ "cpus", MULL_FIELD_MACHINE_CPUS, take_machine_number },
	{ "memory", MULL_FIELD_MACHINE_MEMORY, take_machine_memory },
	{ "service-cpu", MULL_FIELD_SERVICE_CPU, take_machine_number },
	{ "share-cpus", MULL_FIELD_MACHINE_FLAGS, take_share },
	{ "serial", MULL_FIELD_SERIAL, take_serial },
	{ "channel", MULL_FIELD_CHANNEL, take_channel },
	{ "mitigations", MULL_FIELD_MITIGATIONS, take_mitigations },
	{ "uplink", MULL_FIELD_UPLINK, take_uplink },
	{ "schedules", MULL_FIELD_SCHEDULES, take_schedules },
	{ NULL, 0, NULL },
};

/* ---- the file ----------------------------------------------------------- */

static void take_machine(struct reader *reader, const struct word *word,
			 yaml_node_t *value)
{
	reader->vm = MULL_MACHINE_ITSELF;
	yaml_take_words(reader, value, machine_words, word->name);
	reader->vm = MANIFEST_ITSELF;
}

static bool has_room(struct reader *reader, const yaml_node_t *node)
{
	if (reader->manifest->vm_count < MULL_VM_MAX)
		return true;
	mistakes_add(&reader->manifest->mistakes, yaml_line(node),
		     texts_format("more than %d VMs", MULL_VM_MAX));
	return false;
}

static void take_vms(struct reader *reader, const struct word *word,
		     yaml_node_t *value)
{
	yaml_node_pair_t *pair;
	yaml_node_item_t *item;

	(void)word;
	if (value->type == YAML_MAPPING_NODE) {
		for (pair = value->data.mapping.pairs.start;
		     pair < value->data.mapping.pairs.top; pair++) {
			yaml_node_t *name = yaml_node(reader, pair->key);

			if (!has_room(reader, name))
				return;
			manifest_read_vm(reader, name,
					 yaml_node(reader, pair->value));
		}
	} else if (value->type == YAML_SEQUENCE_NODE) {
		for (item = value->data.sequence.items.start;
		     item < value->data.sequence.items.top; item++) {
			yaml_node_t *node = yaml_node(reader, *item);

			if (!has_room(reader, node))
				return;
			manifest_read_vm(reader, NULL, node);
		}
	}
	if (!reader->manifest->vm_count)
		mistakes_add(&reader->manifest->mistakes, yaml_line(value),
			     texts_format("vms is not a list of VMs"));
}

static bool has_word(struct reader *reader, const yaml_node_t *node,
		     const char *word)
{
	yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return false;
	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_node(reader, pair->key);

		if (key->type == YAML_SCALAR_NODE &&
		    !strcmp((const char *)key->data.scalar.value, word))
			return true;
	}
	return false;
}

/* A VM's words, or vms with one VM. */
static void read_one(struct reader *reader, yaml_node_t *root)
{
	static const struct word words[] = {
		{ "vms", MULL_FIELD_MACHINE_FLAGS, take_vms },
		{ NULL, 0, NULL },
	};

	if (has_word(reader, root, "vms"))
		yaml_take_words(reader, root, words, "the file");
	else
		manifest_read_vm(reader, NULL, root);
	if (reader->manifest->vm_count > 1)
		mistakes_add(&reader->manifest->mistakes, yaml_line(root),
			     texts_format("there are %zu VMs, but one is made "
					  "at a time",
					  reader->manifest->vm_count));
}

static void read_document(struct manifest *manifest, yaml_document_t *document,
			  yaml_node_t *root)
{
	static const struct word words[] = {
		{ "machine", MULL_FIELD_MACHINE_FLAGS, take_machine },
		{ "vms", MULL_FIELD_MACHINE_FLAGS, take_vms },
		{ NULL, 0, NULL },
	};
	struct reader reader = { .manifest = manifest,
				 .document = document,
				 .vm = MANIFEST_ITSELF };

	manifest->machine_place.line = yaml_line(root);
	if (manifest->target)
		read_one(&reader, root);
	else
		yaml_take_words(&reader, root, words, "the manifest");
	manifest_give_slots(manifest);
	if (!manifest->vm_count && !manifest->mistakes.count)
		mistakes_add(&manifest->mistakes, yaml_line(root),
			     texts_format("there are no vms"));
}

static void complain_syntax(struct manifest *manifest,
			    const yaml_parser_t *parser)
{
	mistakes_add(&manifest->mistakes, (int)parser->problem_mark.line + 1,
		     texts_format("not YAML: %s%s%s",
				  parser->problem ? parser->problem : "",
				  parser->context ? ", " : "",
				  parser->context ? parser->context : ""));
}

static void read_stream(struct manifest *manifest, FILE *stream)
{
	yaml_parser_t parser;
	yaml_document_t document;
	yaml_node_t *root;

	if (!yaml_parser_initialize(&parser))
		memory_is_out();
	yaml_parser_set_input_file(&parser, stream);
	if (!yaml_parser_load(&parser, &document)) {
		complain_syntax(manifest, &parser);
		yaml_parser_delete(&parser);
		return;
	}
	root = yaml_document_get_root_node(&document);
	if (root)
		read_document(manifest, &document, root);
	else
		mistakes_add(&manifest->mistakes, 1,
			     texts_format("the manifest is empty"));
	yaml_document_delete(&document);
	if (!yaml_parser_load(&parser, &document)) {
		complain_syntax(manifest, &parser);
	} else {
		root = yaml_document_get_root_node(&document);
		if (root)
			mistakes_add(&manifest->mistakes, yaml_line(root),
				     texts_format("a second YAML document is "
						  "not read"));
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
}

void manifest_read(struct manifest *manifest, const char *file)
{
	manifest_read_one(manifest, file, NULL);
}

void manifest_read_one(struct manifest *manifest, const char *file,
		       const struct manifest_target *target)
{
	FILE *stream = fopen(file, "re");

	*manifest = (struct manifest){ .machine = manifest_default_machine,
				       .target = target,
				       .file = texts_format("%s", file) };
	if (!stream) {
		mistakes_add(&manifest->mistakes, 0,
			     texts_format("%s: %s", file, strerror(errno)));
		return;
	}
	read_stream(manifest, stream);
	fclose(stream);
	if (manifest->vm_count)
		manifest_check(manifest);
}
