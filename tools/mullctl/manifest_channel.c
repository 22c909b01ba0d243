/* SPDX-License-Identifier: MIT */
/* The word "channel" of the machine: its management channel's place on the
 * network. */
#include <arpa/inet.h>
#include <mullctl.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_yaml.h"

static void take_address(struct reader *reader, const struct word *word,
			 yaml_node_t *value)
{
	const char *text = yaml_text(reader, word, value);
	struct in_addr address;

	if (!text)
		return;
	if (inet_pton(AF_INET, text, &address) == 1 && address.s_addr)
		reader->manifest->machine.address = ntohl(address.s_addr);
	else
		yaml_wrong(reader, word, value, "an address such as 10.0.0.1");
}

static void take_port(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	yaml_number(reader, word, value, 1, UINT16_MAX,
		    &reader->manifest->machine.port);
}

static void take_key(struct reader *reader, const struct word *word,
		     yaml_node_t *value)
{
	struct mull_machine *machine = &reader->manifest->machine;
	const struct mull_image_status *there = NULL;
	char *path = yaml_file(reader, word, value, &there);
	const char *problem = there ? "that is an image" : NULL;

	if (!path && !there)
		return;
	if (path)
		problem = mull_read_key(path, machine->key);
	if (problem)
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field, "%s %s: %s",
				  word->name, path ? path : "", problem);
	free(path);
}

void take_channel(struct reader *reader, const struct word *word,
		  yaml_node_t *value)
{
	static const struct word words[] = {
		{ "address", MULL_FIELD_CHANNEL, take_address },
		{ "port", MULL_FIELD_CHANNEL, take_port },
		{ "key-file", MULL_FIELD_CHANNEL, take_key },
		{ NULL, 0, NULL },
	};

	yaml_take_words(reader, value, words, word->name);
	reader->manifest->machine_place.lines[word->field] = yaml_line(value);
}
