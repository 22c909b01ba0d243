/* SPDX-License-Identifier: MIT */
/*
 * Reading a manifest's YAML: mappings of known words to functions, and the
 * values that stand in them.  Each function complains by itself, with the
 * line, and says by its result whether there is something to use.
 */
#ifndef MULLCTL_MANIFEST_YAML_H
#define MULLCTL_MANIFEST_YAML_H

#include <yaml.h>

#include "manifest.h"

struct reader {
	struct manifest *manifest;
	yaml_document_t *document;
	int vm; /* the one that is read, or what manifest_complain takes */
	struct manifest_files files; /* of this VM */
	uint32_t disk;		     /* the one that is read */
	bool access_said;	     /* of it */
	uint32_t schedule;	     /* of the machine, the one that is read */
	uint32_t shared;	     /* which of its memories is read */
	struct mull_nic *nic;	     /* of this VM, the one that is read */
};

/* One word that may stand in a mapping; names end with a NULL name. */
struct word {
	const char *name;
	enum mull_field field;
	void (*take)(struct reader *reader, const struct word *word,
		     yaml_node_t *value);
};

int yaml_line(const yaml_node_t *node);
yaml_node_t *yaml_node(struct reader *reader, yaml_node_item_t item);

/* Reads the next VM; @name is what stands before the colon in a map of VMs, or
 * NULL in a list. */
void manifest_read_vm(struct reader *reader, const yaml_node_t *name,
		      yaml_node_t *node);

/* "modules" of a VM: a list (manifest_modules.c). */
void take_modules(struct reader *reader, const struct word *word,
		  yaml_node_t *value);
/* "disks" of a VM: a list (manifest_disks.c). */
void take_disks(struct reader *reader, const struct word *word,
		yaml_node_t *value);
/* Its "networks" (manifest_networks.c). */
void take_uplink(struct reader *reader, const struct word *word,
		 yaml_node_t *value);
void take_networks(struct reader *reader, const struct word *word,
		   yaml_node_t *value);
/* "channel" of the machine (manifest_channel.c). */
void take_channel(struct reader *reader, const struct word *word,
		  yaml_node_t *value);
/* "schedules" of the machine, and the VMs' parts in them, when all are read
 * (manifest_schedules.c). */
void take_schedules(struct reader *reader, const struct word *word,
		    yaml_node_t *value);
void manifest_give_slots(struct manifest *manifest);
/* Its "vsock" (manifest_vsock.c). */
void take_vsock(struct reader *reader, const struct word *word,
		yaml_node_t *value);
/* Its "cache" (manifest_cache.c). */
void take_cache(struct reader *reader, const struct word *word,
		yaml_node_t *value);
/* Where a file of the manifest is, relative to it; @there: one of the
 * hypervisor's images, where it has that name.  NULL: it is, or there is no
 * name after a complaint. */
char *yaml_file(struct reader *reader, const struct word *word,
		yaml_node_t *value, const struct mull_image_status **there);

/* Complains about @word at @value's line: "NAME is not @what". */
void yaml_wrong(struct reader *reader, const struct word *word,
		const yaml_node_t *value, const char *what);

/* Hands each value of @node, which is called @what in messages, to its word's
 * function; false when @node is no mapping. */
bool yaml_take_words(struct reader *reader, yaml_node_t *node,
		     const struct word *words, const char *what);

/* The text of a scalar; NULL after a complaint.  Belongs to the document. */
const char *yaml_text(struct reader *reader, const struct word *word,
		      yaml_node_t *value);
bool yaml_size(struct reader *reader, const struct word *word,
	       yaml_node_t *value, uint64_t *size);
/* A number from @least to @most. */
bool yaml_number(struct reader *reader, const struct word *word,
		 yaml_node_t *value, uint32_t least, uint32_t most,
		 uint32_t *number);
bool yaml_bool(struct reader *reader, const struct word *word,
	       yaml_node_t *value, bool *yes);
/* The index in @choices (ended by NULL) of the text; "is none of a, b". */
bool yaml_choice(struct reader *reader, const struct word *word,
		 yaml_node_t *value, const char *const *choices,
		 uint32_t *index);

#endif
