/* SPDX-License-Identifier: MIT */
/* Help and the manual page, both out of the table in verbs.c. */
#include <string.h>

#include "status.h"
#include "verbs.h"

#define WIDTH 78

/* @words filled into lines that start at column @indent; the first one is
 * already there up to @column. */
static void print_filled(const char *words, int indent, int column)
{
	while (*words) {
		int length = (int)strcspn(words, " ");

		if (column > indent && column + 1 + length > WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", length, words);
		column += length;
		words += length;
		words += strspn(words, " ");
	}
	putchar('\n');
}

static void print_row(const char *what, int width, const char *words)
{
	int indent = width + 4;

	printf("  %-*s  ", width, what);
	if ((int)strlen(what) > width)
		printf("\n%*s", indent, "");
	print_filled(words, indent, indent);
}

static void print_notes(const char *title, const struct note *notes, int width)
{
	printf("\n%s\n", title);
	for (; notes->what; notes++)
		print_row(notes->what, width, notes->words);
}

static void option_shape(const struct option_row *row, char *shape, size_t room)
{
	char letter[] = { '-', row->letter, ',', ' ', 0 };

	snprintf(shape, room, "%s--%s%s%s", row->letter ? letter : "",
		 row->name, row->argument ? " " : "",
		 row->argument ? row->argument : "");
}

static int has_options(const struct verb *verb)
{
	for (const struct option_row *row = option_rows; row->name; row++)
		if (option_is_of(row, verb))
			return 1;
	return 0;
}

static void help_verb(const struct verb *verb)
{
	printf("usage: mullctl %s %s%s\n\n", verb->name, verb->operands,
	       has_options(verb) ? " [OPTIONS]" : "");
	print_filled(verb->description, 0, 0);
	if (has_options(verb))
		printf("\noptions:\n");
	for (const struct option_row *row = option_rows; row->name; row++) {
		char shape[64];

		if (!option_is_of(row, verb))
			continue;
		option_shape(row, shape, sizeof shape);
		print_row(shape, 24, row->help);
	}
	if (verb->run == verb_run)
		print_notes("keys:", key_notes, 13);
	if (verb->run == verb_run || verb->remote)
		print_notes("exit status:",
			    verb->remote ? remote_status_notes : status_notes,
			    4);
}

int verb_help(const struct options *options)
{
	const struct verb *verb;

	if (options->operand) {
		verb = verb_find(options->operand);
		if (!verb)
			return STATUS_MISTAKE;
		help_verb(verb);
		return STATUS_OK;
	}
	printf("usage: mullctl VERB ...\n"
	       "Makes, runs and controls partitions of the Mullion "
	       "hypervisor.\n\nverbs:\n");
	for (verb = verbs; verb->name; verb++)
		print_row(verb->name, 10, verb->summary);
	print_notes("exit status:", status_notes, 4);
	print_notes("exit status of verbs that take --connect:",
		    remote_status_notes, 4);
	print_notes("environment:", environment_notes, 20);
	printf("\nmullctl help VERB explains a verb; mullctl --version tells "
	       "the version.\n");
	return STATUS_OK;
}

/* ---- the manual page ---------------------------------------------------- */

/* Text for troff: what it would take for its own is escaped. */
static void troff(const char *words)
{
	if (*words == '.' || *words == '\'')
		fputs("\\&", stdout);
	for (; *words; words++) {
		if (*words == '\\')
			fputs("\\e", stdout);
		else if (*words == '-')
			fputs("\\-", stdout);
		else
			putchar(*words);
	}
}

static void troff_row(const char *what, const char *words)
{
	printf(".TP\n.B ");
	troff(what);
	putchar('\n');
	troff(words);
	putchar('\n');
}

static void troff_notes(const char *title, const struct note *notes)
{
	printf(".SH %s\n", title);
	for (; notes->what; notes++)
		troff_row(notes->what, notes->words);
}

static void troff_verb(const struct verb *verb)
{
	printf(".SS mullctl ");
	troff(verb->name);
	if (*verb->operands)
		putchar(' ');
	troff(verb->operands);
	putchar('\n');
	troff(verb->description);
	putchar('\n');
	for (const struct option_row *row = option_rows; row->name; row++) {
		char shape[64];

		if (!option_is_of(row, verb))
			continue;
		option_shape(row, shape, sizeof shape);
		troff_row(shape, row->help);
	}
}

int verb_man(const struct options *options)
{
	(void)options;
	printf(".TH MULLCTL 1 \"\" \"Mullion %s\"\n"
	       ".SH NAME\nmullctl \\- make, run and control partitions of the "
	       "Mullion hypervisor\n"
	       ".SH SYNOPSIS\n.B mullctl\n.I VERB\n.RI [ OPTIONS ]\n"
	       ".SH VERBS\n",
	       MULL_VERSION);
	for (const struct verb *verb = verbs; verb->name; verb++)
		troff_verb(verb);
	troff_notes("KEYS", key_notes);
	troff_notes("EXIT STATUS", status_notes);
	troff_notes("EXIT STATUS OF VERBS THAT TAKE --CONNECT",
		    remote_status_notes);
	troff_notes("ENVIRONMENT", environment_notes);
	printf(".SH FILES\nThe manifest is described in docs/manifest.md of "
	       "the sources.\n");
	return STATUS_OK;
}
