/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <ctype.h>
#include <mullion/bits.h>
#include <mullion/channel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "texts.h"

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"

/* ---- JSON and YAML ------------------------------------------------------ */

static void indent(int depth)
{
	printf("%*s", 2 * depth, "");
}

static void go_down(struct output *output, char bracket)
{
	if (output->form == OUTPUT_JSON)
		putchar(bracket);
	output->empty[++output->depth] = true;
}

/* Not before there is something to tell: a verb that fails prints none. */
static void open_document(struct output *output)
{
	output->empty[0] = false;
	if (output->form == OUTPUT_JSON)
		go_down(output, '{');
	output_number(output, "schema", OUTPUT_SCHEMA);
}

/* What stands before a value: separators, and the key where there is one. */
static void open_value(struct output *output, const char *key)
{
	bool first;

	if (output->empty[0])
		open_document(output);
	first = output->empty[output->depth];
	output->empty[output->depth] = false;
	if (output->form == OUTPUT_JSON) {
		printf("%s\n", first ? "" : ",");
		indent(output->depth);
		if (key)
			printf("\"%s\": ", key);
		return;
	}
	indent(output->dash ? output->depth - 1 : output->depth);
	printf("%s%s:", output->dash ? "- " : "", key);
	output->dash = false;
}

/* YAML ends the line; JSON's goes on behind a comma. */
static void print_bare(const struct output *output, const char *word)
{
	bool yaml = output->form == OUTPUT_YAML;

	printf("%s%s%s", yaml ? " " : "", word, yaml ? "\n" : "");
}

/* A string of JSON is one of YAML, too. */
static void print_quoted(const struct output *output, const char *text)
{
	printf("%s\"", output->form == OUTPUT_YAML ? " " : "");
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < ' ' || byte > '~')
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	printf("\"%s", output->form == OUTPUT_YAML ? "\n" : "");
}

static void go_up(struct output *output, char bracket)
{
	bool empty = output->empty[output->depth--];

	if (output->form != OUTPUT_JSON)
		return;
	if (!empty) {
		putchar('\n');
		indent(output->depth);
	}
	putchar(bracket);
}

/* ---- tables ------------------------------------------------------------- */

/* "console_size" becomes "Console size" or "CONSOLE SIZE". */
static char *heading(const char *key, bool capitals)
{
	char *text = texts_format("%s", key);

	for (char *at = text; *at; at++) {
		if (*at == '_')
			*at = ' ';
		else if (capitals || at == text)
			*at = (char)toupper((unsigned char)*at);
	}
	return text;
}

/* Takes over @cell. */
static void put_cell(struct output *output, const char *key, char *cell)
{
	if (output->column == OUTPUT_COLUMNS) {
		free(cell);
		return;
	}
	output->headings[output->column] = key;
	output->cells[output->rows * OUTPUT_COLUMNS + output->column] = cell;
	if (++output->column > output->columns)
		output->columns = output->column;
}

/* Colours take no room. */
static size_t shown_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++) {
		if (*text == '\033')
			text = strchr(text, 'm');
		else
			width++;
	}
	return width;
}

static size_t column_width(const struct output *output, size_t column)
{
	size_t width = strlen(output->headings[column]);

	for (size_t row = 0; row < output->rows; row++) {
		const char *cell = output->cells[row * OUTPUT_COLUMNS + column];

		if (cell && shown_width(cell) > width)
			width = shown_width(cell);
	}
	return width;
}

/* No blanks stand behind the last cell that has something. */
static void print_row(const struct output *output, char *const *cells)
{
	size_t blanks = 0;

	for (size_t i = 0; i < output->columns; i++) {
		const char *text = cells[i] ? cells[i] : "";

		if (*text) {
			printf("%*s%s", (int)blanks, "", text);
			blanks = 0;
		}
		blanks += column_width(output, i) + 2 - shown_width(text);
	}
	putchar('\n');
}

static void print_table(struct output *output)
{
	char *headings[OUTPUT_COLUMNS];

	for (size_t i = 0; i < output->columns; i++)
		headings[i] = heading(output->headings[i], true);
	if (output->rows)
		print_row(output, headings);
	for (size_t i = 0; i < output->columns; i++)
		free(headings[i]);
	for (size_t row = 0; row < output->rows; row++)
		print_row(output, output->cells + row * OUTPUT_COLUMNS);
	for (size_t i = 0; i < output->rows * OUTPUT_COLUMNS; i++)
		free(output->cells[i]);
	output->rows = output->columns = 0;
}

/* A value as people read it; takes over @text. */
static void put_plain(struct output *output, const char *key, char *text)
{
	char *name;

	if (output->in_list) {
		put_cell(output, key, text);
		return;
	}
	name = heading(key, false);
	printf("%s:%*s%s\n", name,
	       strlen(name) < 18 ? (int)(18 - strlen(name)) : 1, "", text);
	free(name);
	free(text);
}

/* ---- what verbs call ---------------------------------------------------- */

bool output_begin(struct output *output, const struct options *options)
{
	static const char *const forms[] = { "table", "json", "yaml" };
	const char *form = options->text[OPTION_FORM];
	const char *no_colour = getenv("NO_COLOR");
	size_t i = 0;

	while (form && i < ARRAY_COUNT(forms) && strcmp(form, forms[i]) != 0)
		i++;
	if (i == ARRAY_COUNT(forms)) {
		tell("--output is table, json or yaml, not \"%s\"", form);
		return false;
	}
	*output = (struct output){
		.form = (enum output_form)i,
		.coloured = isatty(STDOUT_FILENO) && !(no_colour && *no_colour),
		.empty = { true },
	};
	return true;
}

void output_end(struct output *output)
{
	if (output->form == OUTPUT_JSON && !output->empty[0]) {
		go_up(output, '}');
		putchar('\n');
	}
	free(output->cells);
	output->cells = NULL;
}

void output_list_begin(struct output *output, const char *key)
{
	output->in_list = true;
	if (output->form == OUTPUT_TABLE)
		return;
	open_value(output, key);
	go_down(output, '[');
}

void output_list_end(struct output *output)
{
	bool empty = output->empty[output->depth];

	output->in_list = false;
	if (output->form == OUTPUT_TABLE) {
		print_table(output);
		return;
	}
	go_up(output, ']');
	if (output->form == OUTPUT_YAML && empty)
		print_bare(output, "[]");
}

void output_row_begin(struct output *output)
{
	if (output->form == OUTPUT_TABLE) {
		size_t size = (output->rows + 1) * OUTPUT_COLUMNS;

		output->cells = memory_get(output->cells,
					   size * sizeof *output->cells);
		memset(output->cells + size - OUTPUT_COLUMNS, 0,
		       OUTPUT_COLUMNS * sizeof *output->cells);
		output->column = 0;
		return;
	}
	if (output->form == OUTPUT_JSON)
		open_value(output, NULL);
	else if (output->empty[output->depth])
		putchar('\n'); /* behind the list's key */
	output->empty[output->depth] = false;
	output->dash = output->form == OUTPUT_YAML;
	go_down(output, '{');
}

void output_row_end(struct output *output)
{
	if (output->form == OUTPUT_TABLE)
		output->rows++;
	else
		go_up(output, '}');
}

void output_text(struct output *output, const char *key, const char *text)
{
	if (output->form == OUTPUT_TABLE) {
		put_plain(output, key, texts_format("%s", text));
		return;
	}
	open_value(output, key);
	print_quoted(output, text);
}

void output_bare(struct output *output, const char *key, const char *word)
{
	open_value(output, key);
	print_bare(output, word);
}

void output_number(struct output *output, const char *key, uint64_t number)
{
	char *text = texts_format("%lu", number);

	if (output->form == OUTPUT_TABLE) {
		put_plain(output, key, text);
		return;
	}
	output_bare(output, key, text);
	free(text);
}

void output_decimal(struct output *output, const char *key, double number)
{
	char *text = texts_format("%.1f", number);

	if (output->form == OUTPUT_TABLE) {
		put_plain(output, key, text);
		return;
	}
	output_bare(output, key, text);
	free(text);
}

void output_yes(struct output *output, const char *key, bool yes)
{
	if (output->form == OUTPUT_TABLE)
		put_plain(output, key, texts_format("%s", yes ? "yes" : "no"));
	else
		output_bare(output, key, yes ? "true" : "false");
}

void output_size(struct output *output, const char *key, uint64_t bytes)
{
	if (output->form == OUTPUT_TABLE)
		put_plain(output, key, texts_of_size(bytes));
	else
		output_number(output, key, bytes);
}

void output_time(struct output *output, const char *key, uint64_t nanoseconds)
{
	if (output->form == OUTPUT_TABLE)
		put_plain(output, key,
			  texts_format("%lu.%03lu s", nanoseconds / 1000000000,
				       nanoseconds / 1000000 % 1000));
	else
		output_number(output, key, nanoseconds);
}

void output_span(struct output *output, const char *key, uint64_t nanoseconds)
{
	bool short_one = nanoseconds < 1000000;
	uint64_t unit = short_one ? 1000 : 1000000;
	const char *name = short_one ? "us" : "ms";
	uint64_t rest = nanoseconds % unit * 1000 / unit;

	if (output->form != OUTPUT_TABLE)
		output_number(output, key, nanoseconds);
	else if (rest)
		put_plain(output, key,
			  texts_format("%lu.%03lu %s", nanoseconds / unit, rest,
				       name));
	else
		put_plain(output, key,
			  texts_format("%lu %s", nanoseconds / unit, name));
}

void output_hash(char text[65], const uint8_t hash[32])
{
	for (size_t i = 0; i < 32; i++)
		sprintf(text + 2 * i, "%02x", hash[i]);
}

const char *output_state_word(uint32_t state)
{
	static const char *const words[] = {
		[MULL_VM_STOPPED] = "stopped",
		[MULL_VM_STARTING] = "starting",
		[MULL_VM_RUNNING] = "running",
		[MULL_VM_STOPPING] = "stopping",
		[MULL_VM_CRASHED] = "crashed",
		[MULL_VM_REFUSED] = "refused",
		[MULL_VM_PAUSED] = "paused",
		[MULL_VM_DESTROYED] = "destroyed",
	};

	return state < ARRAY_COUNT(words) && words[state] ? words[state] :
							    "unknown";
}

static const char *state_colour(uint32_t state)
{
	switch (state) {
	case MULL_VM_RUNNING:
		return GREEN;
	case MULL_VM_CRASHED:
	case MULL_VM_REFUSED:
		return RED;
	case MULL_VM_STOPPED:
		return PLAIN;
	default:
		return YELLOW;
	}
}

void output_state(struct output *output, const char *key, uint32_t state)
{
	const char *word = output_state_word(state);

	if (output->form == OUTPUT_TABLE && output->coloured)
		put_plain(
			output, key,
			texts_format("%s%s" PLAIN, state_colour(state), word));
	else
		output_text(output, key, word);
}
