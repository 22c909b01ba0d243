/* SPDX-License-Identifier: MIT */
/* The word "vsock" of a VM. */
#include <string.h>

#include "manifest_yaml.h"

static void take_cid(struct reader *reader, const struct word *word,
		     yaml_node_t *value)
{
	/* 0 means that there is none, which is not what was said. */
	yaml_number(reader, word, value, 1, UINT32_MAX,
		    &reader->manifest->vms[reader->vm].vsock);
}

static void take_group(struct reader *reader, const struct word *word,
		       yaml_node_t *value)
{
	struct mull_vm *vm = &reader->manifest->vms[reader->vm];
	const char *text = yaml_text(reader, word, value);

	if (text && (!*text || strlen(text) >= MULL_LABEL_MAX))
		yaml_wrong(reader, word, value, "1 to 15 letters");
	else if (text)
		memcpy(vm->vsock_group, text, strlen(text));
}

static const struct word vsock_words[] = {
	{ "cid", MULL_FIELD_VSOCK, take_cid },
	{ "group", MULL_FIELD_VSOCK, take_group },
	{ NULL, 0, NULL },
};

/* A context identifier, or a mapping that has it. */
void take_vsock(struct reader *reader, const struct word *word,
		yaml_node_t *value)
{
	if (value->type != YAML_MAPPING_NODE)
		take_cid(reader, word, value);
	else
		yaml_take_words(reader, value, vsock_words, "vsock");
}
