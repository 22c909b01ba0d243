/* SPDX-License-Identifier: MIT */
/* What grows while one looks: consoles, the log, events. */
#include <errno.h>
#include <mullion/bits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keys.h"
#include "remote.h"
#include "texts.h"
#include "work.h"

#define SHOWN_FIRST 4096      /* bytes of a console's history */
#define LOOK_MILLISECONDS 100 /* when nothing says that there is more */
#define TYPED_MAX 256	      /* bytes that a VM's input takes */
#define NO_TIMEOUT 1e9	      /* seconds */
#define EVENTS_MAX 256	      /* more than are kept */

/*
 * A text is read by its position, so nothing is lost or shown twice, whatever
 * the line does to frames; that a frame came only says that there is more.
 */
struct follow {
	struct mull *mull;
	const char *level; /* the least urgent digit that is shown, or NULL */
	bool in_line;	   /* of a log: behind its level */
	bool hidden;	   /* the line is less urgent */
	enum mull_command command;
	uint32_t vm;
	uint64_t position;
	double limit; /* when to leave */
	bool more;    /* a frame said so */
};

static void on_console(void *context, uint32_t vm, const void *bytes,
		       size_t length)
{
	struct follow *follow = context;

	(void)bytes;
	(void)length;
	follow->more |= vm == follow->vm;
}

static void on_log(void *context, const char *text, size_t length)
{
	struct follow *follow = context;

	(void)text;
	(void)length;
	follow->more = true;
}

static void on_event(void *context, uint32_t vm, const struct mull_event *event)
{
	struct follow *follow = context;

	(void)vm;
	(void)event;
	follow->more = true;
}

/* Each line of a log begins with its level, "<6>": 0 is the most urgent. */
static void show_log(struct follow *follow, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!follow->in_line && text[i] == '<')
			continue;
		if (!follow->in_line && text[i] >= '0' && text[i] <= '7') {
			follow->hidden = text[i] > *follow->level;
			continue;
		}
		if (!follow->in_line && text[i] == '>') {
			follow->in_line = true;
			continue;
		}
		if (!follow->hidden)
			putchar(text[i] == '\n' ? '\n' :
						  texts_printable(text[i]));
		follow->in_line = text[i] != '\n';
	}
}

/* Shows all that is there. */
static int show_text(struct follow *follow)
{
	struct mull_answer answer;
	int error;

	do {
		error = mull_ask(follow->mull, follow->command, follow->vm,
				 follow->position, &answer);
		if (error)
			return error;
		if (follow->level)
			show_log(follow, (const char *)answer.data,
				 answer.length);
		else
			fwrite(answer.data, 1, answer.length, stdout);
		if (answer.length)
			follow->position = answer.value + answer.length;
	} while (answer.length && !work_signal() &&
		 seconds_now() < follow->limit);
	fflush(stdout);
	return MULL_OK;
}

/* Until there may be more, something is typed, or it is over. */
static int wait_for_more(struct follow *follow, int other_fd)
{
	double until = seconds_now() + LOOK_MILLISECONDS / 1000.0;
	int error = MULL_OK;

	follow->more = false;
	do {
		struct pollfd typed = { .fd = other_fd, .events = POLLIN };
		int left = (int)((until - seconds_now()) * 1000) + 1;

		error = mull_pump(follow->mull, left, other_fd);
		if (other_fd >= 0 && poll(&typed, 1, 0) > 0)
			break;
	} while (!error && !follow->more && seconds_now() < until &&
		 !work_signal());
	return error;
}

static bool is_over(const struct follow *follow)
{
	return work_signal() || ferror(stdout) ||
	       seconds_now() >= follow->limit;
}

/* Connects; with @vm, to that of the first operand. */
static enum status begin_follow(struct follow *follow,
				const struct options *options,
				const struct mull_handlers *handlers,
				struct mull_vm_status *vm)
{
	enum status status;
	double seconds;

	if (!remote_timeout(options, NO_TIMEOUT, &seconds))
		return STATUS_USAGE;
	follow->mull = vm ? remote_open_vm(options, handlers, vm, &status) :
			    remote_open(options, handlers, &status);
	if (!follow->mull)
		return status;
	follow->limit = seconds_now() + seconds;
	work_begin();
	return STATUS_OK;
}

/* What there is, and with --follow what comes. */
static int show_and_follow(struct follow *follow, const struct options *options,
			   int (*show)(struct follow *follow))
{
	int error = show(follow);

	while (!error && options->text[OPTION_FOLLOW] && !is_over(follow)) {
		error = wait_for_more(follow, -1);
		if (!error)
			error = show(follow);
	}
	return error;
}

static enum status end_follow(struct follow *follow, int error)
{
	enum status status = remote_status(follow->mull, error);

	mull_close(follow->mull);
	work_end();
	return status;
}

/* ---- console ------------------------------------------------------------ */

struct typing {
	bool ended;
	bool leave;
};

/* What is typed goes to the VM, up to the key that leaves. */
static int type(struct follow *follow, struct typing *typing)
{
	unsigned char bytes[TYPED_MAX];
	bool escaped = false;
	size_t length = 0;
	ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return MULL_OK;
	typing->ended = got <= 0;
	while ((ssize_t)length < got && !typing->leave) {
		typing->leave = isatty(STDIN_FILENO) &&
				key_of(bytes[length], &escaped) == KEY_NONE;
		length += !typing->leave;
	}
	return length ? mull_input(follow->mull, follow->vm, bytes, length) :
			MULL_OK;
}

static int serve_console(struct follow *follow)
{
	/* In the background, reading would stop us. */
	struct typing typing = { .ended = isatty(STDIN_FILENO) &&
					  !keys_are_typed() };
	int error = mull_attach(follow->mull, follow->vm, true);

	if (!error)
		error = show_text(follow);
	while (!error && !typing.leave && !is_over(follow)) {
		struct pollfd typed = { .fd = typing.ended ? -1 : STDIN_FILENO,
					.events = POLLIN };

		error = wait_for_more(follow, typed.fd);
		if (!error && poll(&typed, 1, 0) > 0)
			error = type(follow, &typing);
		if (!error)
			error = show_text(follow);
	}
	return error;
}

int verb_console(const struct options *options)
{
	struct follow follow = { .command = MULL_COMMAND_HISTORY };
	struct mull_handlers handlers = { .context = &follow,
					  .console = on_console };
	struct mull_vm_status vm;
	enum status status = begin_follow(&follow, options, &handlers, &vm);
	int error;

	if (status != STATUS_OK)
		return status;
	follow.vm = vm.number;
	if (!options->text[OPTION_ALL] && vm.console_position > SHOWN_FIRST)
		follow.position = vm.console_position - SHOWN_FIRST;
	tell("the console of %s; Ctrl-] leaves", vm.name);
	keys_begin();
	error = serve_console(&follow);
	/* As it was, so that others are not disturbed. */
	if (!error && !(vm.flags & MULL_STATUS_ATTACHED))
		error = mull_attach(follow.mull, vm.number, false);
	keys_end();
	return end_follow(&follow, error);
}

/* ---- log ---------------------------------------------------------------- */

/* "warning" or "4"; NULL after a message. */
static const char *take_level(const char *word)
{
	static const char *const levels[][2] = {
		{ "error", "3" }, { "warning", "4" }, { "notice", "5" },
		{ "info", "6" },  { "debug", "7" },
	};

	if (!word)
		return "7";
	for (size_t i = 0; i < ARRAY_COUNT(levels); i++)
		if (!strcmp(word, levels[i][0]) || !strcmp(word, levels[i][1]))
			return levels[i][1];
	tell("--level is error, warning, notice, info or debug, not \"%s\"",
	     word);
	return NULL;
}

int verb_log(const struct options *options)
{
	bool previous = options->text[OPTION_PREVIOUS];
	struct follow follow = {
		.command = previous ? MULL_COMMAND_LOG_PREVIOUS :
				      MULL_COMMAND_LOG,
		.level = take_level(options->text[OPTION_LEVEL]),
	};
	struct mull_handlers handlers = { .context = &follow, .log = on_log };
	enum status status;
	int error;

	if (!follow.level)
		return STATUS_USAGE;
	if (previous && options->text[OPTION_FOLLOW]) {
		tell("nothing follows --previous: leave out --follow");
		return STATUS_USAGE;
	}
	status = begin_follow(&follow, options, &handlers, NULL);
	if (status != STATUS_OK)
		return status;
	error = show_and_follow(&follow, options, show_text);
	if (previous && !error && follow.position == 0)
		tell("nothing is left of a run before: the machine was off, or "
		     "its firmware wrote over it; see mullctl log");
	return end_follow(&follow, error);
}

/* ---- events ------------------------------------------------------------- */

static enum status show_events(struct mull *mull,
			       const struct mull_vm_status *vm,
			       struct output *output)
{
	static struct mull_event events[EVENTS_MAX];
	size_t count = 0, got;
	uint64_t next = 0;

	(void)vm;
	do {
		int error = mull_events(mull, next, events + count,
					EVENTS_MAX - count, &got, &next);

		if (error)
			return remote_status(mull, error);
		count += got;
		next += got;
	} while (got);
	output_list_begin(output, "events");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		output_time(output, "time", events[i].time_ns);
		output_text(output, "vm", events[i].name);
		output_state(output, "state", events[i].state);
		output_text(output, "reason", events[i].words);
		output_row_end(output);
	}
	output_list_end(output);
	return STATUS_OK;
}

/* While one follows, each event is a line: a table's widths need all rows. */
static void print_event(const struct mull_event *event)
{
	printf("%5lu.%03lu s  %s: %s%s%s\n", event->time_ns / 1000000000,
	       event->time_ns / 1000000 % 1000, event->name,
	       output_state_word(event->state), event->words[0] ? ": " : "",
	       event->words);
}

static int print_events(struct follow *follow)
{
	struct mull_event events[8];
	size_t count;
	uint64_t first;

	do {
		int error = mull_events(follow->mull, follow->position, events,
					ARRAY_COUNT(events), &count, &first);

		if (error)
			return error;
		for (size_t i = 0; i < count; i++)
			print_event(&events[i]);
		follow->position = first + count;
	} while (count && !is_over(follow));
	fflush(stdout);
	return MULL_OK;
}

int verb_events(const struct options *options)
{
	struct follow follow = { .position = 0 };
	struct mull_handlers handlers = { .context = &follow,
					  .event = on_event };
	enum status status;

	if (!options->text[OPTION_FOLLOW])
		return remote_show(options, show_events);
	if (options->text[OPTION_FORM]) {
		tell("--follow prints lines as they come: it takes no "
		     "--output");
		return STATUS_USAGE;
	}
	status = begin_follow(&follow, options, &handlers, NULL);
	if (status != STATUS_OK)
		return status;
	return end_follow(&follow,
			  show_and_follow(&follow, options, print_events));
}
