/* SPDX-License-Identifier: MIT */
/* The shells' completion, out of the table in verbs.c. */
#include <stdio.h>
#include <string.h>

#include "status.h"
#include "texts.h"
#include "verbs.h"

static void print_verbs(void)
{
	for (const struct verb *verb = verbs; verb->name; verb++)
		printf("%s%s", verb == verbs ? "" : " ", verb->name);
}

static void print_options(const struct verb *verb)
{
	printf("--help");
	for (const struct option_row *row = option_rows; row->name; row++)
		if (option_is_of(row, verb))
			printf(" --%s", row->name);
}

/* The names come from the hypervisor; without one there are none, and nobody
 * waits for one that is silent. */
#define NAMES_OF(list) \
	"\\ $(timeout 2 mullctl " list " 2>/dev/null </dev/null |" \
	" awk 'NR > 1 { print $2 }')"

static const char *names_for(const char *operands)
{
	if (!strncmp(operands, "VM", 2) || !strncmp(operands, "[VM]", 4))
		return NAMES_OF("list");
	if (!strncmp(operands, "IMAGE", 5))
		return NAMES_OF("images");
	return "";
}

static void print_function(void)
{
	printf("_mullctl() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} words=\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	       "\t\twords='");
	print_verbs();
	printf("'\n\telse case ${COMP_WORDS[1]} in\n");
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("\t%s) words='", verb->name);
		print_options(verb);
		printf("'%s ;;\n", names_for(verb->operands));
	}
	printf("\tesac; fi\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	       "}\n"
	       "complete -o default -F _mullctl mullctl\n");
}

int verb_completion(const struct options *options)
{
	bool zsh = !strcmp(options->operand, "zsh");

	if (!zsh && strcmp(options->operand, "bash") != 0) {
		tell("completion is for bash or zsh, not \"%s\"",
		     options->operand);
		return STATUS_MISTAKE;
	}
	/* zsh understands bash's.  It takes this as a script, or by the first
	 * line from a folder of functions, as the function that completes. */
	if (zsh)
		printf("#compdef mullctl\n"
		       "(( $+functions[compdef] )) || "
		       "{ autoload -U compinit && compinit -u; }\n"
		       "autoload -U +X bashcompinit && bashcompinit\n");
	print_function();
	if (zsh)
		printf("[[ $funcstack[1] != _mullctl ]] || "
		       "_bash_complete -o default -F _mullctl\n");
	return STATUS_OK;
}
