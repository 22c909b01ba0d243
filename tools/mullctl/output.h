/* SPDX-License-Identifier: MIT */
/*
 * What a verb has to tell, as a table for people, or as JSON or YAML for
 * programs: the verb says each value once.  Keys are the JSON's; a table's
 * headings are made of them.
 */
#ifndef MULLCTL_OUTPUT_H
#define MULLCTL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "verbs.h"

/* Grows when a key changes its meaning; new keys may come at any time. */
#define OUTPUT_SCHEMA 1
#define OUTPUT_COLUMNS 16
#define OUTPUT_DEPTH 8

enum output_form { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML };

struct output {
	enum output_form form;
	bool coloured;
	int depth;
	bool in_list;		  /* rows of a table are being collected */
	bool dash;		  /* YAML: the next key begins a list's row */
	bool empty[OUTPUT_DEPTH]; /* nothing stands at this depth yet */
	/* the table that is collected */
	size_t columns, rows, column;
	const char *headings[OUTPUT_COLUMNS];
	char **cells; /* rows x OUTPUT_COLUMNS, NULL: empty */
};

/* By -o; false after a message. */
bool output_begin(struct output *output, const struct options *options);
void output_end(struct output *output);

void output_list_begin(struct output *output, const char *key);
void output_list_end(struct output *output);
/* One map in the list. */
void output_row_begin(struct output *output);
void output_row_end(struct output *output);

void output_text(struct output *output, const char *key, const char *text);
/* A word that JSON and YAML take without quotes; not for tables. */
void output_bare(struct output *output, const char *key, const char *word);
void output_number(struct output *output, const char *key, uint64_t number);
/* With one digit behind the point. */
void output_decimal(struct output *output, const char *key, double number);
void output_yes(struct output *output, const char *key, bool yes);
/* Bytes; a table says "64 MiB". */
void output_size(struct output *output, const char *key, uint64_t bytes);
/* Nanoseconds; a table says "1.234 s". */
void output_time(struct output *output, const char *key, uint64_t nanoseconds);
/* Nanoseconds of something short; a table says "12.345 us" or "4 ms". */
void output_span(struct output *output, const char *key, uint64_t nanoseconds);
/* A VM's state, coloured on a terminal. */
void output_state(struct output *output, const char *key, uint32_t state);

/* What others have made.  A table has a line for each value within it, with the
 * way there: "disk.0.name:  sda". */
void output_json(struct output *output, const char *key, struct json value);

/* 32 bytes as 64 digits. */
void output_hash(char text[65], const uint8_t hash[32]);

/* "running": enum mull_vm_state. */
const char *output_state_word(uint32_t state);

#endif
