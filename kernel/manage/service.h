/* SPDX-License-Identifier: MIT */
/* What the files of the management service know of each other. */
#ifndef MANAGE_SERVICE_H
#define MANAGE_SERVICE_H

#include <mullion/channel.h>
#include <mullion/control.h>
#include <mullion/frame.h>
#include <mullion/log.h>
#include <mullion/uart16550.h>
#include <mullion/vm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the channel runs over.  Each line has its own replies, its own place in
 * log, consoles and events, and its own say in which consoles are sent: none
 * takes anything away from the other.
 */
enum manage_line { LINE_SERIAL, LINE_NETWORK, LINES };

/* ---- log.c -------------------------------------------------------------- */

#define LOG_RING_SIZE 0x8000 /* bytes, of whole lines */

/* Each line is one, by its number. */
enum log_reader {
	LOG_SERIAL = LINE_SERIAL,
	LOG_NETWORK = LINE_NETWORK,
	LOG_SCREEN,
	LOG_READERS
};

/* The next line for @reader, with its newline and no zero; 0: none.  Lines
 * that were overwritten before are one line that says so.  @room must be
 * LOG_LINE_MAX or more. */
size_t log_take(enum log_reader reader, char *to, size_t room);
bool log_waits(enum log_reader reader);
/* @reader has all that is there; it begins with the next line. */
void log_skip(enum log_reader reader);
/* Bytes ever logged, and whether @reader has had all up to @head. */
uint64_t log_head(void);
/* Copies what the ring has from *@position on, or from its oldest line, to
 * which it then sets *@position. */
size_t log_read(uint64_t *position, char *to, size_t room);
bool log_passed(enum log_reader reader, uint64_t head);

/* A panic's text, which has newlines of its own: for the record only. */
void log_last_words(const char *text, size_t length);
/* Guests and packages choose some of the bytes: no escape codes from them. */
char log_printable(char byte);

/* Draws at most @lines lines; returns whether there are more. */
bool log_draw(uint32_t lines);

/* @written is called after each line, in place of drawing at once. */
void log_on_line(void (*written)(void));

/* Nanoseconds since log_start(). */
uint64_t log_time(void);
uint64_t log_time_of(uint64_t time); /* the same of an arch_time() */

/* Whether @source may log another line; says first how many it could not.
 * Numbers of VMs, or: */
enum log_source {
	LOG_SOURCE_ERRORS = MULL_VM_MAX,
	LOG_SOURCE_CHANNEL,
	LOG_SOURCES
};
bool log_allowed(uint32_t source, const char *name);

/* ---- log_record.c: what a warm reset leaves of the log -------------------- */

/* Notes what is new in the ring, whose lock is held, up to position @head. */
void log_record_write(const char *lines, uint64_t head);
/* As log_read(), of the run before; 0: that is all, or nothing was left. */
size_t log_read_previous(uint64_t *position, char *to, size_t room);

/* ---- ledger.c: phases of the start --------------------------------------- */

#define LEDGER_MAX (3 * MULL_VM_MAX) /* both images of each, and more */
extern struct mull_phase ledger[LEDGER_MAX];
extern _Atomic uint32_t ledger_count;

/* ---- line.c: the serial line, which a panic uses too -------------------- */

/* Looks for the UART of @machine; NULL and a log line: there is none. */
struct uart16550 *line_start(const struct mull_machine *machine);

/* ---- console.c: what VMs print, and what is typed to them ---------------- */

/* Bytes of a console that go out at a time, so that others get their turn;
 * fewer wait a moment for more. */
#define CONSOLE_PIECE 256
#define CONSOLE_INPUT_MAX 256

struct console {
	struct vm *vm; /* NULL: no VM has this number */
	struct console_reader {
		bool attached;	      /* what is printed is sent there */
		uint64_t position;    /* of what is sent next */
		uint64_t waits_since; /* arch_time(); 0: all was sent when
					 looked at */
	} readers[LINES];
	bool dropping;	/* it was said that typed bytes are lost */
	uint64_t typed; /* bytes ever */
	uint32_t input_count;
	uint8_t input[CONSOLE_INPUT_MAX]; /* not yet taken by its UART */
};

void console_add(struct vm *vm);
void console_remove(const struct vm *vm);
bool console_prints(uint32_t stream); /* such a VM is, and was not refused */
uint32_t console_count(void);	      /* of those */
struct console *console_of(uint32_t stream); /* NULL: there is no such VM */

/* Whether it is time to send @line what @console holds for it. */
bool console_ready(struct console *console, enum manage_line line);
/* Takes out at most @room bytes, with @one_line none behind a newline. */
size_t console_fetch(struct console *console, enum manage_line line,
		     uint8_t *to, size_t room, bool one_line);
/* Whether all that was printed before the ring's head was @head is out. */
bool console_passed(const struct console *console, enum manage_line line,
		    uint64_t head);

/*
 * Whether what VM @stream, or MULL_ALL_VMS, prints is sent to @line, or only
 * kept in its ring; returns the position of what is sent next.  The guest waits
 * for the slower of two lines that are attached.
 */
uint64_t console_attach(enum manage_line line, uint32_t stream, bool attached);
/* Whether a VM that is new begins attached there; at first none does. */
void consoles_attach_new(enum manage_line line, bool attached);
/* Copies what was printed from *@position on, or from the oldest byte that is
 * there, to which it then sets *@position. */
size_t console_history(struct vm *vm, uint64_t *position, uint8_t *to,
		       size_t room);

/* Gives typed bytes to VM @stream, now or when its UART takes more. */
enum error console_type(uint32_t stream, const uint8_t *bytes, size_t length);

void consoles_offer_input(void);	    /* again what was not taken */
bool consoles_print(enum manage_line line); /* whether one holds bytes */
bool consoles_type(void); /* whether one's guest does not read */

/* ---- event.c ------------------------------------------------------------ */

const char *vm_state_word(uint32_t state);
/* What an event would tell of @vm now. */
void event_describe(const struct vm *vm, struct mull_event *event);

/* The next event for @line; false: none, or it waits for a console. */
bool event_take(enum manage_line line, uint16_t *stream,
		struct mull_event *event);
/* @line has all that are there; it begins with the next one. */
void event_skip(enum manage_line line);
uint64_t event_count(void); /* ever */
/* Copies events from number *@first on, or from the oldest that is kept, to
 * which it then sets *@first. */
size_t events_read(uint64_t *first, struct mull_event *to, size_t room);

/* ---- audit.c ------------------------------------------------------------ */

bool audit_step(void); /* whether it goes on */

/* ---- manage.c ----------------------------------------------------------- */

/* Obeys no more; the machine ends when all is told. */
void manage_end_machine(enum mull_machine_end end);
bool manage_ends(void); /* so it is */

/* ---- panic.c ------------------------------------------------------------- */

/* Tells the log's lines that nobody has had, at once. */
void log_emergency(void);

/* ---- request.c ---------------------------------------------------------- */

struct answer;

/*
 * Does what @length bytes at @payload, a struct mull_request and its data, ask
 * for at @line, and fills @answer.  If that is pending then, request_continue()
 * is to be called until it is not, and no other request before.
 */
void request_obey(enum manage_line line, uint32_t sequence, const void *payload,
		  size_t length, struct answer *answer);
void request_continue(struct answer *answer);
bool request_is_pending(void);
/* Takes a piece of an upload; never pending. */
void request_take_data(uint32_t sequence, uint32_t image, const void *payload,
		       size_t length, struct answer *answer);

/* ---- upload.c ----------------------------------------------------------- */

/* The next piece of work on what was uploaded; whether there is more. */
bool upload_work(void);

/* ---- network.c: the channel over UDP -------------------------------------- */

/* As @machine says; without an address there it does nothing. */
void network_start(const struct mull_machine *machine);
void network_serve(void); /* the loop runs */
bool network_poll(void);  /* a bounded round; whether there is more to do */
bool network_needs_polling(void);
bool network_is_told(void); /* nothing waits for a client that still hears */

/* ---- channel.c and text.c: what a line carries --------------------------- */

/* Puts the next piece into FRAME_WIRE_MAX bytes; 0: nothing waits. */
size_t channel_next(enum manage_line line, uint8_t *wire);
size_t text_next(enum manage_line line, uint8_t *to);

/* Takes at most LINE_RECEIVE_MAX bytes that came, when it has room for them. */
#define LINE_RECEIVE_MAX 64
bool channel_has_room(enum manage_line line);
bool text_has_room(enum manage_line line);
void channel_receive(enum manage_line line, const uint8_t *bytes,
		     size_t length);
void text_receive(enum manage_line line, const uint8_t *bytes, size_t length);

/* Says hello with the next piece. */
void channel_greet(enum manage_line line);
/* Another client is at @line, or will be: what the one before has asked for is
 * done, but not answered. */
void channel_forget(enum manage_line line);

/* What is sent in turn: the consoles that may hold something for @line, by their
 * VMs' numbers, and the log. */
#define SOURCE_LOG MULL_VM_MAX
uint32_t source_count(enum manage_line line);
uint32_t source_behind(enum manage_line line,
		       uint32_t source); /* in a circle */

#endif
