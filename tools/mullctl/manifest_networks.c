/* SPDX-License-Identifier: MIT */
/* The word "networks" of a VM, and "uplink" of the machine. */
#include <string.h>

#include "manifest_yaml.h"
#include "texts.h"

static void copy_switch(struct reader *reader, const struct word *word,
			yaml_node_t *value, char name[MULL_LABEL_MAX])
{
	const char *text = yaml_text(reader, word, value);

	if (!text)
		return;
	if (!*text || strlen(text) >= MULL_LABEL_MAX)
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "a network's name is not 1 to %d letters: "
				  "\"%.40s\"",
				  MULL_LABEL_MAX - 1, text);
	else
		memcpy(name, text, strlen(text));
}

static void take_switch(struct reader *reader, const struct word *word,
			yaml_node_t *value)
{
	copy_switch(reader, word, value, reader->nic->network);
}

static void take_mac(struct reader *reader, const struct word *word,
		     yaml_node_t *value)
{
	const char *text = yaml_text(reader, word, value);

	if (text && !texts_to_mac(text, reader->nic->mac))
		yaml_wrong(reader, word, value,
			   "an address such as 02:00:00:00:00:01");
}

static void take_rate(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	const char *text = yaml_text(reader, word, value);

	if (text && !texts_to_rate(text, &reader->nic->rate))
		yaml_wrong(reader, word, value,
			   "a rate such as 10Mbit (kbit, Mbit or Gbit)");
}

static const struct word network_words[] = {
	{ "switch", MULL_FIELD_NETWORKS, take_switch },
	{ "mac", MULL_FIELD_NETWORKS, take_mac },
	{ "rate", MULL_FIELD_NETWORKS, take_rate },
	{ NULL, 0, NULL },
};

/* A switch's name, or a mapping that has it. */
static void take_network(struct reader *reader, const struct word *word,
			 yaml_node_t *value)
{
	const size_t said = reader->manifest->mistakes.count;

	if (value->type != YAML_MAPPING_NODE)
		take_switch(reader, word, value);
	else
		yaml_take_words(reader, value, network_words, "a network");
	if (!reader->nic->network[0] &&
	    reader->manifest->mistakes.count == said)
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "a network has no switch");
}

static void take_uplink_nic(struct reader *reader, const struct word *word,
			    yaml_node_t *value)
{
	yaml_number(reader, word, value, 1, MULL_MACHINE_NIC_MAX,
		    &reader->manifest->machine.uplink_nic);
}

static void take_uplink_switch(struct reader *reader, const struct word *word,
			       yaml_node_t *value)
{
	copy_switch(reader, word, value, reader->manifest->machine.uplink);
}

/* The machine's word "uplink". */
void take_uplink(struct reader *reader, const struct word *word,
		 yaml_node_t *value)
{
	static const struct word words[] = {
		{ "nic", MULL_FIELD_UPLINK, take_uplink_nic },
		{ "switch", MULL_FIELD_UPLINK, take_uplink_switch },
		{ NULL, 0, NULL },
	};
	struct mull_machine *machine = &reader->manifest->machine;
	const size_t said = reader->manifest->mistakes.count;

	yaml_take_words(reader, value, words, word->name);
	if (reader->manifest->mistakes.count != said)
		return;
	if (!machine->uplink[0])
		manifest_complain(reader->manifest, reader->vm,
				  yaml_line(value), word->field,
				  "the uplink has no switch");
	if (!machine->uplink_nic)
		machine->uplink_nic = 1;
}

void take_networks(struct reader *reader, const struct word *word,
		   yaml_node_t *value)
{
	struct mull_vm *vm = &reader->manifest->vms[reader->vm];
	struct manifest_place *place = &reader->manifest->places[reader->vm];
	yaml_node_item_t *item;
	size_t count = 0;

	if (value->type != YAML_SEQUENCE_NODE) {
		yaml_wrong(reader, word, value,
			   "a list of switches such as [lan]");
		return;
	}
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++) {
		if (count == MULL_NIC_MAX) {
			manifest_complain(reader->manifest, reader->vm,
					  yaml_line(value), word->field,
					  "networks has more than %d entries",
					  MULL_NIC_MAX);
			break;
		}
		reader->nic = &vm->nics[count++];
		take_network(reader, word, yaml_node(reader, *item));
	}
	reader->nic = NULL;
	place->lines[word->field] = yaml_line(value);
}
