/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "status.h"
#include "texts.h"
#include "verbs.h"

int option_is_of(const struct option_row *option, const struct verb *verb)
{
	size_t length = strlen(verb->name);

	for (const char *at = option->verbs; *at; at = strchr(at, ' ') + 1)
		if (!strncmp(at, verb->name, length) && at[length] == ' ')
			return 1;
	return 0;
}

const struct verb *verb_find(const char *name)
{
	const char *close = NULL;
	size_t best = strlen(name) / 3 + 1;

	for (const struct verb *verb = verbs; verb->name; verb++) {
		size_t distance = texts_distance(name, verb->name);

		if (!distance)
			return verb;
		if (distance <= best) {
			best = distance;
			close = verb->name;
		}
	}
	if (close)
		tell("there is no verb \"%s\"; did you mean \"%s\"?", name,
		     close);
	else
		tell("there is no verb \"%s\"; try mullctl help", name);
	return NULL;
}

/* The option that "--@name" (up to '=') means for @verb; NULL if none. */
static const struct option_row *find_long(const struct verb *verb,
					  const char *name)
{
	size_t length = strcspn(name, "="), best = length / 3 + 1;
	const struct option_row *close = NULL;
	char word[32] = "";

	memcpy(word, name, length < sizeof word ? length : sizeof word - 1);
	for (const struct option_row *row = option_rows; row->name; row++) {
		size_t distance = texts_distance(word, row->name);

		if (!option_is_of(row, verb))
			continue;
		if (!distance)
			return row;
		if (distance <= best) {
			best = distance;
			close = row;
		}
	}
	tell("%s has no option --%s%s%s%s", verb->name, word,
	     close ? "; did you mean --" : "", close ? close->name : "",
	     close ? "?" : "");
	return NULL;
}

static const struct option_row *find_letter(const struct verb *verb,
					    char letter)
{
	for (const struct option_row *row = option_rows; row->name; row++)
		if (letter && row->letter == letter && option_is_of(row, verb))
			return row;
	tell("%s has no option -%c", verb->name, letter);
	return NULL;
}

static int keep(struct options *options, const struct option_row *row,
		const char *value)
{
	struct repeated *repeated = row->id == OPTION_QEMU_ARG ?
					    &options->qemu_args :
				    row->id == OPTION_DISK ? &options->disks :
				    row->id == OPTION_NIC  ? &options->nics :
							     NULL;

	if (repeated) {
		if (repeated->count == REPEATED_MAX) {
			tell("more than %d times --%s", REPEATED_MAX,
			     row->name);
			return 0;
		}
		repeated->values[repeated->count++] = value;
	} else if (options->text[row->id] && row->argument) {
		tell("--%s is given twice", row->name);
		return 0;
	}
	options->text[row->id] = value;
	return 1;
}

/* Takes argv[*at] and its value; returns whether that was possible. */
static int take_option(struct options *options, int argc, char **argv, int *at)
{
	const char *word = argv[*at], *value = NULL;
	const struct option_row *row;

	if (word[1] == '-') {
		row = find_long(options->verb, word + 2);
		value = strchr(word, '=');
		value = value ? value + 1 : NULL;
	} else {
		row = find_letter(options->verb, word[1]);
		value = word[2] ? word + 2 : NULL;
	}
	if (!row)
		return 0;
	if (!row->argument) {
		if (value) {
			tell("--%s takes no value", row->name);
			return 0;
		}
		return keep(options, row, "");
	}
	if (!value && *at + 1 < argc)
		value = argv[++*at];
	if (!value) {
		tell("--%s needs a value: %s", row->name, row->argument);
		return 0;
	}
	return keep(options, row, value);
}

/* Everything behind the verb; returns whether it can be used. */
static int take_words(struct options *options, int argc, char **argv)
{
	const struct verb *verb = options->verb;
	int operands = 0, only_operands = 0;

	for (int at = 0; at < argc; at++) {
		const char *word = argv[at];

		if (!only_operands && strcmp(word, "--") == 0) {
			only_operands = 1;
		} else if (!only_operands && word[0] == '-' && word[1]) {
			if (!take_option(options, argc, argv, &at))
				return 0;
		} else if (operands++ == verb->operand_max) {
			tell("%s does not take \"%s\"", verb->name, word);
			return 0;
		} else if (operands == 1) {
			options->operand = word;
		} else if (operands == 2) {
			options->second = word;
		} else {
			options->third = word;
		}
	}
	if (operands >= verb->operand_min)
		return 1;
	tell("usage: mullctl %s %s", verb->name, verb->operands);
	return 0;
}

static int wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return 1;
	return 0;
}

int mullctl(int argc, char **argv)
{
	struct options options = { .operand = NULL };
	const char *first = argc > 1 ? argv[1] : "";

	if (argc < 2 || !strcmp(first, "--help") || !strcmp(first, "-h")) {
		if (argc < 2)
			tell("which verb? mullctl help shows them");
		return argc < 2 ? STATUS_MISTAKE : verb_help(&options);
	}
	options.verb = verb_find(strcmp(first, "--version") ? first :
							      "version");
	if (!options.verb)
		return STATUS_MISTAKE;
	if (wants_help(argc - 2, argv + 2)) {
		options.operand = options.verb->name;
		return verb_help(&options);
	}
	if (!take_words(&options, argc - 2, argv + 2))
		return options.verb->remote ? STATUS_USAGE : STATUS_MISTAKE;
	return options.verb->run(&options);
}
