/* SPDX-License-Identifier: MIT */
/* top: the machine and its VMs, again and again. */
#include <curses.h>
#include <mullion/vm_exit.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "remote.h"
#include "texts.h"
#include "top.h"
#include "work.h"

#define FIRST_SECONDS 0.3 /* until there are rates */
#define AGAIN_SECONDS 1.0 /* between attempts to connect */
#define EVENT_SECONDS 0.2 /* from what happened to the next sample */
#define KEY_ESCAPE 27

/* ---- plain tables ------------------------------------------------------- */

static void put_row(struct output *output, const struct top_row *row)
{
	const struct mull_vm_status *status = &row->vm->status;
	const double *value = row->value;

	output_row_begin(output);
	output_text(output, "name", status->name);
	output_state(output, "state", status->state);
	output_number(output, "cpus", status->vcpu_count);
	output_size(output, "memory", status->memory_size);
	output_decimal(output, "guest_percent", value[TOP_GUEST]);
	output_decimal(output, "hypervisor_percent", value[TOP_HYPERVISOR]);
	output_decimal(output, "exits_per_s", value[TOP_EXITS]);
	output_text(output, "top_exit",
		    value[TOP_REASON] < 0 ?
			    "" :
			    exit_kind_name((uint32_t)value[TOP_REASON]));
	output_decimal(output, "interrupts_per_s", value[TOP_INTERRUPTS]);
	output_decimal(output, "printed_per_s", value[TOP_PRINTED]);
	output_time(output, "up", (uint64_t)value[TOP_UP]);
	output_number(output, "restarts", status->restarts);
	output_row_end(output);
}

static void put_pair(struct output *output, const struct top_pair *pair)
{
	static struct top_row rows[MULL_VM_MAX];
	size_t count = top_rows(pair, rows);
	struct top_load load = top_load(pair);

	top_sort(rows, count, TOP_GUEST, false);
	output_time(output, "time", pair->now.info.time_ns);
	output_text(output, "version", pair->now.info.version);
	output_number(output, "cpus", pair->now.info.cpu_count);
	output_size(output, "memory_free", pair->now.info.memory_free);
	output_decimal(output, "guest_percent", load.guest);
	output_decimal(output, "hypervisor_percent", load.hypervisor);
	output_decimal(output, "idle_percent", load.idle);
	output_list_begin(output, "vms");
	for (size_t i = 0; i < count; i++)
		put_row(output, &rows[i]);
	output_list_end(output);
}

static enum status print_tables(struct mull *mull,
				const struct options *options, double seconds,
				uint64_t tables)
{
	static struct top_pair pair;
	int error = top_take(mull, &pair);
	struct output output;

	for (uint64_t i = 0; i < tables && !error; i++) {
		double until = seconds_now() + seconds;

		while (!error && !work_signal() && seconds_now() < until)
			error = mull_pump(mull, 100, -1);
		if (!error && !work_signal())
			error = top_take(mull, &pair);
		if (error || work_signal() || !output_begin(&output, options))
			break;
		put_pair(&output, &pair);
		output_end(&output);
		if (output.form == OUTPUT_TABLE && i + 1 < tables)
			putchar('\n');
		if (fflush(stdout))
			break;
	}
	return remote_status(mull, error);
}

/* ---- keys --------------------------------------------------------------- */

struct top {
	struct mull *mull; /* NULL: the machine is away */
	struct mull_handlers handlers;
	double next; /* when to look at it */
	struct top_pair taken;
	struct top_pair pair; /* the last good one */
	struct top_row rows[MULL_VM_MAX];
	size_t count;
	struct top_view view;
	struct mull_vm_status chosen; /* as it was drawn */
	enum mull_command asked;      /* what a question is about; or 0 */
	char words[320], trouble[320];
};

/* Sorts, and finds where the VM that was chosen stands now. */
static void arrange(struct top *top)
{
	struct top_view *view = &top->view;
	size_t at = 0;

	top->count = top_rows(&top->pair, top->rows);
	top_sort(top->rows, top->count, view->column, view->reverse);
	while (at < top->count &&
	       (top->rows[at].vm->status.number != top->chosen.number ||
		strcmp(top->rows[at].vm->status.name, top->chosen.name) != 0))
		at++;
	if (at < top->count) {
		view->chosen = at;
		return;
	}
	/* It is gone; no question and no exits of another one. */
	if (top->asked)
		snprintf(top->words, sizeof top->words, "%s has gone.",
			 top->chosen.name);
	top->asked = 0;
	view->detail = false;
	if (view->chosen >= top->count)
		view->chosen = top->count ? top->count - 1 : 0;
}

static void choose(struct top *top, size_t row)
{
	if (row >= top->count) /* also what is -1 */
		return;
	top->view.chosen = row;
	top->chosen = top->rows[row].vm->status;
}

static void ask(struct top *top, int key)
{
	const char *name = top->chosen.name;

	if (!top->count || !top->mull)
		return;
	if (key == 's') {
		top->asked = MULL_COMMAND_START;
		snprintf(top->words, sizeof top->words, "Start %s? y/n", name);
	} else if (key == 't') {
		top->asked = MULL_COMMAND_POWER_BUTTON;
		snprintf(top->words, sizeof top->words,
			 "Stop %s? y: press its power button, "
			 "f: end it at once, n",
			 name);
	} else {
		bool paused = top->chosen.state == MULL_VM_PAUSED;

		top->asked = paused ? MULL_COMMAND_RESUME : MULL_COMMAND_PAUSE;
		snprintf(top->words, sizeof top->words, "%s %s? y/n",
			 paused ? "Resume" : "Pause", name);
	}
}

static void answer(struct top *top, int key)
{
	enum mull_command command = top->asked;

	top->asked = 0;
	snprintf(top->words, sizeof top->words, "Nothing was done.");
	if (key == 'f' && command == MULL_COMMAND_POWER_BUTTON)
		command = MULL_COMMAND_STOP;
	else if (key != 'y')
		return;
	if (mull_ask(top->mull, command, top->chosen.number, 0, NULL))
		snprintf(top->words, sizeof top->words, "%s",
			 mull_words(top->mull));
	else
		snprintf(top->words, sizeof top->words, "%s: done",
			 top->chosen.name);
	top->next = seconds_now();
}

static void sort_by(struct top *top, enum top_column column)
{
	struct top_view *view = &top->view;

	if (column == TOP_COLUMNS)
		return;
	view->reverse = view->column == column && !view->reverse;
	view->column = column;
}

/* False: leave. */
static bool obey(struct top *top, int key)
{
	struct top_view *view = &top->view;

	if (key == KEY_RESIZE)
		return true;
	if (top->asked) {
		answer(top, key);
		return true;
	}
	top->words[0] = 0;
	if (key == 'q')
		return false;
	if (key == KEY_UP)
		choose(top, view->chosen - 1);
	else if (key == KEY_DOWN)
		choose(top, view->chosen + 1);
	else if (key == 'h' || key == '?')
		view->help = !view->help;
	else if (key == KEY_ESCAPE)
		view->detail = view->help = false;
	else if (key == '\r' || key == KEY_ENTER) {
		view->detail = top->count && !view->help && !view->detail;
		view->help = false;
	} else if (key == 's' || key == 't' || key == 'p')
		ask(top, key);
	else
		sort_by(top, top_column_of(key));
	return true;
}

/* ---- the machine -------------------------------------------------------- */

static void on_event(void *context, uint32_t vm, const struct mull_event *event)
{
	struct top *top = context;

	(void)vm;
	if (!top->asked)
		snprintf(top->words, sizeof top->words, "%s: %s%s%s",
			 event->name, output_state_word(event->state),
			 event->words[0] ? ", " : "", event->words);
	if (top->next > seconds_now() + EVENT_SECONDS)
		top->next = seconds_now() + EVENT_SECONDS;
}

/* Takes a sample when it is time to, over a new connection when there must be
 * one. */
static void look(struct top *top, double interval)
{
	int error = MULL_OK;

	if (seconds_now() < top->next)
		return;
	if (!top->mull)
		error = mull_open(&top->mull, top->view.address,
				  &top->handlers);
	if (!error)
		error = top_take(top->mull, &top->taken);
	if (!error) {
		top->pair = top->taken;
		top->trouble[0] = 0;
		top->next = seconds_now() +
			    (top->pair.seconds > 0 ? interval : FIRST_SECONDS);
		return;
	}
	snprintf(top->trouble, sizeof top->trouble, "%s",
		 mull_words(top->mull));
	mull_close(top->mull);
	top->mull = NULL;
	top->asked = 0;
	top->words[0] = 0;
	top->next = seconds_now() + AGAIN_SECONDS;
}

static enum status show_screen(struct mull *mull, char *address,
			       double interval)
{
	struct pollfd terminal = { .fd = STDIN_FILENO };
	static struct top top;
	bool stays = true;

	top.mull = mull;
	top.view = (struct top_view){ .address = address,
				      .column = TOP_GUEST,
				      .words = top.words,
				      .trouble = top.trouble };
	top.handlers = (struct mull_handlers){ .context = &top,
					       .event = on_event };
	mull_handle(mull, &top.handlers);
	/* It may be closed without a signal. */
	while (stays && !work_signal() && poll(&terminal, 1, 0) <= 0) {
		int key;

		look(&top, interval);
		arrange(&top);
		choose(&top, top.view.chosen);
		top_screen_draw(&top.pair, top.rows, top.count, &top.view);
		if (!top.mull)
			napms(100);
		else if (mull_pump(top.mull, 100, STDIN_FILENO))
			top.next = 0; /* top_take() will fail and say why */
		while (stays && (key = getch()) != ERR)
			stays = obey(&top, key);
	}
	endwin();
	mull_close(top.mull);
	return STATUS_OK;
}

static bool take_numbers(const struct options *options, double *seconds,
			 uint64_t *tables)
{
	const char *interval = options->text[OPTION_INTERVAL];
	const char *count = options->text[OPTION_ITERATIONS];
	char *end = "";

	*seconds = interval ? strtod(interval, &end) : 1;
	*tables = UINT64_MAX;
	if (*end || !(*seconds >= 0.1) || *seconds > 3600) {
		tell("--interval is 0.1 to 3600 seconds, not \"%s\"", interval);
		return false;
	}
	if (count && (!texts_to_number(count, tables) || !*tables)) {
		tell("--iterations is a number from 1, not \"%s\"", count);
		return false;
	}
	return true;
}

int verb_top(const struct options *options)
{
	bool plain = options->text[OPTION_BATCH] ||
		     options->text[OPTION_FORM] ||
		     options->text[OPTION_ITERATIONS] ||
		     !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
	struct output output;
	enum status status;
	struct mull *mull;
	uint64_t tables;
	double seconds;

	if (!take_numbers(options, &seconds, &tables) ||
	    !output_begin(&output, options))
		return STATUS_USAGE;
	mull = remote_open(options, NULL, &status);
	if (!mull)
		return status;
	work_begin();
	if (!plain && top_screen_begin()) {
		char *address = config_address(options, false);

		status = show_screen(mull, address, seconds);
		free(address);
	} else {
		status = print_tables(mull, options, seconds, tables);
		mull_close(mull);
	}
	work_end();
	return status;
}
