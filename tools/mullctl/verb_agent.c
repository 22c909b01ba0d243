/* SPDX-License-Identifier: MIT */
/* Asking the agent that runs in a guest. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "remote.h"
#include "texts.h"

#define ANSWER_SECONDS 60
#define ANSWER_MAX (4u << 20) /* bytes */
#define PREFIX "guest-"

/* ---- the request -------------------------------------------------------- */

struct question {
	const char *vm; /* NULL: the only one */
	const char *command, *arguments;
};

static bool is_command(const char *word)
{
	for (const char *at = word; *at; at++)
		if (!islower((unsigned char)*at) &&
		    !isdigit((unsigned char)*at) && *at != '-')
			return false;
	return *word;
}

/* "ping" or "guest-ping", with its arguments in one line; NULL after a
 * message. */
static char *make_request(const struct question *question)
{
	const char *prefix = strncmp(question->command, PREFIX,
				     strlen(PREFIX)) ?
				     PREFIX :
				     "";
	char *arguments, *request;
	struct json value;

	if (!is_command(question->command)) {
		tell("\"%s\" is no command of an agent", question->command);
		return NULL;
	}
	if (!question->arguments)
		return texts_format("{\"execute\":\"%s%s\"}", prefix,
				    question->command);
	if (!json_check(question->arguments, &value) ||
	    json_kind(value) != JSON_OBJECT) {
		tell("the arguments are no object of JSON, as in "
		     "'{\"path\": \"/bin/true\"}'");
		return NULL;
	}
	arguments = json_words(value);
	request = texts_format("{\"execute\":\"%s%s\",\"arguments\":%s}",
			       prefix, question->command, arguments);
	free(arguments);
	return request;
}

/* ---- the VM ------------------------------------------------------------- */

static int find_only(struct mull *mull, struct mull_vm_status *vm)
{
	struct mull_vm_status list[MULL_VM_MAX];
	size_t count;
	int error = mull_list(mull, list, &count);

	if (error)
		return error;
	if (count != 1)
		return ERR_NOT_FOUND;
	*vm = list[0];
	return MULL_OK;
}

/* "VM COMMAND [JSON]", or what is typed as easily: "COMMAND VM [JSON]", and
 * "COMMAND [JSON]" where there is but one VM. */
static enum status find_vm(struct mull *mull, const struct options *options,
			   struct question *question, struct mull_vm_status *vm)
{
	const char *first = options->operand, *second = options->second;
	int error;

	*question = (struct question){ first, second, options->third };
	error = mull_find(mull, first, vm);
	if (error == ERR_NOT_FOUND && second && *second != '{') {
		*question = (struct question){ second, first, options->third };
		error = mull_find(mull, second, vm);
		if (error == ERR_NOT_FOUND) /* it is the first that is wrong */
			error = mull_find(mull, first, vm);
	} else if (error == ERR_NOT_FOUND && !options->third) {
		*question = (struct question){ NULL, first, second };
		error = find_only(mull, vm);
		if (error == ERR_NOT_FOUND) {
			tell("which VM? mullctl agent VM %s", first);
			return STATUS_USAGE;
		}
	}
	if (error == MULL_OK && !question->command) {
		tell("what shall the agent of %s do? Try: mullctl agent %s "
		     "ping",
		     vm->name, vm->name);
		return STATUS_USAGE;
	}
	return remote_status(mull, error);
}

/* ---- the answer --------------------------------------------------------- */

static enum status show_answer(const char *answer, struct output *output)
{
	struct json value, result, words;
	char *text;

	if (!json_check(answer, &value)) {
		tell("what the guest's agent answers is no JSON");
		return STATUS_FAILED;
	}
	if (json_member(value, "return", &result)) {
		output_json(output, "return", result);
		return STATUS_OK;
	}
	text = json_member(value, "error", &result) &&
			       json_member(result, "desc", &words) ?
		       json_words(words) :
		       json_words(value);
	tell("the guest's agent says: %.500s", text);
	free(text);
	return STATUS_FAILED;
}

static enum status ask(struct mull *mull, const struct mull_vm_status *vm,
		       const struct question *question, double seconds,
		       struct output *output)
{
	char *request = make_request(question), *answer;
	enum status status;

	if (!request)
		return STATUS_USAGE;
	answer = memory_get(NULL, ANSWER_MAX);
	status = remote_status(mull, mull_agent(mull, vm->number, request,
						seconds, answer, ANSWER_MAX));
	if (status == STATUS_OK)
		status = show_answer(answer, output);
	free(answer);
	free(request);
	return status;
}

int verb_agent(const struct options *options)
{
	struct question question;
	struct mull_vm_status vm;
	struct output output;
	enum status status;
	struct mull *mull;
	double seconds;

	if (!remote_timeout(options, ANSWER_SECONDS, &seconds) ||
	    !output_begin(&output, options))
		return STATUS_USAGE;
	mull = remote_open(options, NULL, &status);
	if (!mull)
		return status;
	status = find_vm(mull, options, &question, &vm);
	if (status == STATUS_OK)
		status = ask(mull, &vm, &question, seconds, &output);
	output_end(&output);
	mull_close(mull);
	return status;
}
