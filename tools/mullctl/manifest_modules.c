/* SPDX-License-Identifier: MIT */
/* "modules" of a VM. */
#include <string.h>

#include "manifest_yaml.h"

static struct manifest_module *this_module(struct reader *reader)
{
	return &reader->files.modules[reader->files.module_count - 1];
}

static void take_module_file(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	struct manifest_module *module = this_module(reader);

	module->path = yaml_file(reader, word, value, &module->there);
}

static void take_module_line(struct reader *reader, const struct word *word,
			     yaml_node_t *value)
{
	struct manifest_module *module = this_module(reader);
	const char *text = yaml_text(reader, word, value);

	if (text && strlen(text) >= sizeof module->words)
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "the cmdline of a module is longer than %zu "
				  "bytes",
				  sizeof module->words - 1);
	else if (text)
		strcpy(module->words, text);
}

static const struct word module_words[] = {
	{ "file", MULL_FIELD_MODULES, take_module_file },
	{ "cmdline", MULL_FIELD_MODULES, take_module_line },
	{ NULL, 0, NULL },
};

/* A name alone is that of a file. */
static void take_module(struct reader *reader, yaml_node_t *node)
{
	size_t before = reader->manifest->mistakes.count;

	reader->files.module_count++;
	*this_module(reader) = (struct manifest_module){ .path = NULL };
	if (node->type == YAML_SCALAR_NODE)
		take_module_file(reader, &module_words[0], node);
	else
		yaml_take_words(reader, node, module_words, "the module");
	if (this_module(reader)->path || this_module(reader)->there)
		return;
	if (reader->manifest->mistakes.count == before)
		manifest_complain(reader->manifest, reader->vm, yaml_line(node),
				  MULL_FIELD_MODULES, "a module has no file");
	reader->files.module_count--;
}

void take_modules(struct reader *reader, const struct word *word,
		  yaml_node_t *value)
{
	yaml_node_item_t *item;

	if (value->type != YAML_SEQUENCE_NODE) {
		yaml_wrong(reader, word, value,
			   "a list of files, or of mappings of file and "
			   "cmdline");
		return;
	}
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++) {
		yaml_node_t *node = yaml_node(reader, *item);

		if (reader->files.module_count == MULL_MODULE_MAX) {
			manifest_complain(reader->manifest, reader->vm,
					  yaml_line(node), word->field,
					  "modules has more than %d entries",
					  MULL_MODULE_MAX);
			return;
		}
		take_module(reader, node);
	}
}
