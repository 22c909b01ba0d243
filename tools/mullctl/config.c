/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "texts.h"

static char *config_path(void)
{
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (base && *base)
		return texts_format("%s/mullctl.yaml", base);
	return texts_format("%s/.config/mullctl.yaml", home ? home : "");
}

/* The value of "connect:", or NULL. */
static char *find_address(yaml_document_t *document)
{
	yaml_node_t *root = yaml_document_get_root_node(document);

	if (!root || root->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     pair < root->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(document,
								pair->key);
		const yaml_node_t *value = yaml_document_get_node(document,
								  pair->value);

		if (key->type == YAML_SCALAR_NODE &&
		    value->type == YAML_SCALAR_NODE &&
		    !strcmp((const char *)key->data.scalar.value, "connect"))
			return texts_format(
				"%s", (const char *)value->data.scalar.value);
	}
	return NULL;
}

static char *address_of_file(const char *path, bool *is_there)
{
	FILE *stream = fopen(path, "re");
	yaml_document_t document;
	yaml_parser_t parser;
	char *address = NULL;

	*is_there = stream != NULL;
	if (!stream)
		return NULL;
	yaml_parser_initialize(&parser);
	yaml_parser_set_input_file(&parser, stream);
	if (yaml_parser_load(&parser, &document)) {
		address = find_address(&document);
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
	fclose(stream);
	return address;
}

char *config_address(const struct options *options, bool may_lack)
{
	const char *address = options->text[OPTION_CONNECT];
	char *path, *found;
	bool is_there;

	if (!address)
		address = getenv("MULLCTL_CONNECT");
	if (address && *address)
		return texts_format("%s", address);
	path = config_path();
	found = address_of_file(path, &is_there);
	if (!found && is_there)
		tell("%s has no line such as \"connect: unix:PATH\"", path);
	else if (!found && !may_lack)
		tell("where is the hypervisor? Give --connect unix:PATH, "
		     "tcp:HOST:PORT, udp:HOST:PORT,KEYFILE or "
		     "serial:DEVICE,RATE, set "
		     "MULLCTL_CONNECT, or write \"connect: ADDRESS\" into %s",
		     path);
	free(path);
	return found;
}
