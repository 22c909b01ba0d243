/* SPDX-License-Identifier: MIT */
/* The screen of top: the machine, a row a VM, what happened, the keys. */
#include <curses.h>
#include <mullion/bits.h>
#include <mullion/vm_exit.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "texts.h"
#include "top.h"

#define BAR_WIDTH 20
#define HEAD_LINES 5

enum colour { PLAIN, GREEN, RED, YELLOW };

/* 80 columns with the spaces between. */
static const struct column {
	const char *title;
	char key;
	int width; /* below 0: on the left */
} columns[TOP_COLUMNS] = {
	[TOP_NAME] = { "NAME", 'N', -10 },
	[TOP_STATE] = { "STATE", 'S', -8 },
	[TOP_VCPUS] = { "CPU", 'V', 3 },
	[TOP_MEMORY] = { "MEM", 'M', 4 },
	[TOP_GUEST] = { "GUEST%", 'G', 6 },
	[TOP_HYPERVISOR] = { "HYP%", 'H', 5 },
	[TOP_EXITS] = { "EX/S", 'E', 5 },
	[TOP_REASON] = { "TOP EXIT", 'T', -9 },
	[TOP_INTERRUPTS] = { "INT/S", 'I', 5 },
	[TOP_PRINTED] = { "OUT/S", 'O', 5 },
	[TOP_UP] = { "UP", 'U', 5 },
	[TOP_RESTARTS] = { "RST", 'R', 3 },
};

enum top_column top_column_of(int key)
{
	int column = 0;

	while (column < TOP_COLUMNS && key != columns[column].key)
		column++;
	return (enum top_column)column;
}

/* ---- the terminal ------------------------------------------------------- */

static bool coloured;

static chtype in(enum colour colour)
{
	return coloured ? (chtype)COLOR_PAIR(colour) : 0;
}

static chtype of_state(uint32_t state)
{
	switch (state) {
	case MULL_VM_RUNNING:
		return in(GREEN);
	case MULL_VM_CRASHED:
	case MULL_VM_REFUSED:
		return in(RED);
	case MULL_VM_STOPPED:
		return 0;
	default:
		return in(YELLOW);
	}
}

bool top_screen_begin(void)
{
	const char *no_colour = getenv("NO_COLOR");
	/* initscr() would end mullctl at a terminal that it does not know. */
	SCREEN *screen = newterm(NULL, stdout, stdin);
	const char *place = screen ? tigetstr("cup") : NULL;

	if (!place || place == (const char *)-1) {
		endwin();
		return false;
	}
	coloured = !(no_colour && *no_colour) && has_colors();
	if (coloured) {
		start_color();
		use_default_colors();
		init_pair(GREEN, COLOR_GREEN, -1);
		init_pair(RED, COLOR_RED, -1);
		init_pair(YELLOW, COLOR_YELLOW, -1);
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	return true;
}

/* Behind what stands there; the last column stays free, since the cursor would
 * go to the next line behind it. */
static void put(chtype how, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void put(chtype how, const char *format, ...)
{
	int room = COLS - 1 - getcurx(stdscr);
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (room <= 0)
		return;
	attron(how);
	addnstr(text, room);
	attroff(how);
}

/* "||||##....": percents of guests, then of the hypervisor. */
static void put_bar(double first, double second)
{
	int bars = (int)(first * BAR_WIDTH / 100 + 0.5);
	int all = (int)((first + second) * BAR_WIDTH / 100 + 0.5);

	for (int i = 0; i < BAR_WIDTH; i++)
		put(i < bars ? in(GREEN) :
		    i < all  ? in(RED) :
			       A_DIM,
		    i < bars ? "|" :
		    i < all  ? "#" :
			       ".");
}

/* ---- the machine -------------------------------------------------------- */

static void draw_machine(const struct top_pair *pair, const char *address,
			 const char *trouble)
{
	const struct mull_info *info = &pair->now.info;
	struct top_load load = top_load(pair);
	uint64_t total = info->memory_total, left = info->memory_free;
	uint64_t used = left < total ? total - left : 0;
	size_t running = 0;
	char up[8], free_size[8], total_size[8];

	for (size_t i = 0; i < pair->now.vm_count; i++)
		running += pair->now.vms[i].status.state == MULL_VM_RUNNING;
	top_short_time(up, (double)info->time_ns);
	top_short_count(free_size, (double)left, 1024);
	top_short_count(total_size, (double)total, 1024);
	move(0, 0);
	put(A_BOLD, "Mullion %s", info->version);
	put(0, " on %s, up %s, at %s ", info->virtualization, up, address);
	if (trouble[0]) {
		move(0, COLS > 7 ? COLS - 7 : 0);
		put(A_REVERSE | in(RED), " AWAY ");
	}
	mvprintw(1, 0, "%-8s", "VMs");
	put(0, "%zu, %zu running", pair->now.vm_count, running);
	mvprintw(2, 0, "%-8s", "Memory");
	put_bar(total ? (double)used * 100 / (double)total : 0, 0);
	put(0, "  %s free of %s", free_size, total_size);
	mvprintw(3, 0, "CPUs %-3u", info->cpu_count);
	put_bar(load.guest, load.hypervisor);
	put(0, "  %.1f%% guests, %.1f%% hypervisor, %.1f%% idle", load.guest,
	    load.hypervisor, load.idle);
}

/* ---- the rows ----------------------------------------------------------- */

static void cell_text(const struct top_row *row, enum top_column column,
		      char text[64])
{
	double value = row->value[column];

	switch (column) {
	case TOP_NAME:
		snprintf(text, 64, "%s", row->vm->status.name);
		break;
	case TOP_STATE:
		snprintf(text, 64, "%s",
			 output_state_word(row->vm->status.state));
		break;
	case TOP_GUEST:
	case TOP_HYPERVISOR:
		snprintf(text, 64, "%.1f", value);
		break;
	case TOP_REASON:
		snprintf(text, 64, "%s",
			 value < 0 ? "-" : exit_kind_name((uint32_t)value));
		break;
	case TOP_UP:
		if (value > 0)
			top_short_time(text, value);
		break;
	default:
		top_short_count(text, value,
				column == TOP_MEMORY ? 1024 : 1000);
	}
}

/* Titles without @row.  A wide screen has room for names and reasons. */
static void put_row(const struct top_row *row, const struct top_view *view,
		    chtype line)
{
	int spare = COLS > 80 ? COLS - 80 : 0;

	for (int i = 0; i < TOP_COLUMNS; i++) {
		int more = i == TOP_REASON && spare > 9 ? 9 :
			   i == TOP_NAME && spare > 9	? spare - 9 :
							  0;
		int width = columns[i].width;
		char text[64] = "";
		chtype how = line;

		if (more > 22)
			more = 22;
		width += width < 0 ? -more : more;
		if (row)
			cell_text(row, (enum top_column)i, text);
		else
			snprintf(text, sizeof text, "%s", columns[i].title);
		if (row && i == TOP_STATE)
			how |= of_state(row->vm->status.state);
		if (!row && i == (int)view->column)
			how |= A_REVERSE;
		put(how, "%*.*s", width, abs(width), text);
		put(line, " ");
	}
}

static void draw_rows(const struct top_row *rows, size_t count,
		      struct top_view *view)
{
	size_t room = LINES > HEAD_LINES + 3 ? (size_t)LINES - HEAD_LINES - 3 :
					       1;
	int line = HEAD_LINES;

	move(line++, 0);
	put_row(NULL, view, A_BOLD);
	if (view->first > view->chosen)
		view->first = view->chosen;
	if (view->chosen - view->first >= room)
		view->first = view->chosen - room + 1;
	for (size_t i = view->first; i < count && i < view->first + room; i++) {
		move(line++, 0);
		put_row(&rows[i], view, i == view->chosen ? A_REVERSE : 0);
	}
	if (!count)
		mvprintw(line, 0, "There is no VM.");
}

/* ---- one VM ------------------------------------------------------------- */

/* The kind below @most that is next; MULL_EXIT_KINDS: there is none. */
static uint32_t next_reason(const struct top_row *row, uint64_t done)
{
	const uint64_t *counts = row->vm->stats.exits;
	uint32_t best = MULL_EXIT_KINDS;

	for (uint32_t kind = 0; kind < MULL_EXIT_KINDS; kind++)
		if (counts[kind] && !(done & BIT(kind)) &&
		    (best == MULL_EXIT_KINDS ||
		     row->exits[kind] > row->exits[best] ||
		     (row->exits[kind] == row->exits[best] &&
		      counts[kind] > counts[best])))
			best = kind;
	return best;
}

static void draw_exits(const struct top_row *row, struct top_view *view)
{
	const struct mull_vm_status *status = &row->vm->status;
	double all = row->value[TOP_EXITS];
	uint64_t done = 0;
	uint32_t kind;
	int line = HEAD_LINES + 4;

	move(HEAD_LINES, 0);
	put_row(NULL, view, A_BOLD);
	move(HEAD_LINES + 1, 0);
	put_row(row, view, 0);
	move(HEAD_LINES + 2, 0);
	put(0, "%s", status->words);
	move(line++, 0);
	put(A_BOLD, "%-20s %14s %10s %7s", "EXIT", "COUNT", "PER S", "SHARE");
	while (line < LINES - 2 &&
	       (kind = next_reason(row, done)) < MULL_EXIT_KINDS) {
		double share = all > 0 ? row->exits[kind] * 100 / all : 0;

		done |= BIT(kind);
		move(line++, 0);
		put(0, "%-20s %14lu %10.1f %6.1f%% ", exit_kind_name(kind),
		    row->vm->stats.exits[kind], row->exits[kind], share);
		put_bar(share, 0);
	}
}

/* ---- all ---------------------------------------------------------------- */

static const char *const help[] = {
	"Up Down    choose a VM",
	"Enter      the exits of the VM by reason; Enter or Esc leaves",
	"s t p      start, stop, pause or resume the VM, after a question",
	"h ?        this help",
	"q          leave",
	"",
	"Sort by a capital letter; the same one again turns the order round:",
	"N name     S state       V vCPUs      M memory    G guest %  H "
	"hypervisor %",
	"E exits/s  T top exit    I interrupts/s   O console bytes/s   U up",
	"R restarts",
	"",
	"100 % is one processor, in the bar all of them: | guests, # "
	"hypervisor.",
};

void top_screen_draw(const struct top_pair *pair, const struct top_row *rows,
		     size_t count, struct top_view *view)
{
	erase();
	draw_machine(pair, view->address, view->trouble);
	if (view->help)
		for (int i = 0; i < (int)ARRAY_COUNT(help); i++) {
			move(HEAD_LINES + i, 0);
			put(0, "%s", help[i]);
		}
	else if (view->detail)
		draw_exits(&rows[view->chosen], view);
	else
		draw_rows(rows, count, view);
	move(LINES - 2, 0);
	clrtobot();
	if (view->trouble[0])
		put(in(RED), "%s; trying again", view->trouble);
	else
		put(A_BOLD, "%s", view->words);
	move(LINES - 1, 0);
	put(A_DIM, "q quit  h help  s start  t stop  p pause  Enter %s",
	    view->detail || view->help ? "back" : "exits  A-Z sort");
	refresh();
}
