/* SPDX-License-Identifier: MIT */
/* What the files of libmullctl share. */
#ifndef MULLCTL_PARTS_H
#define MULLCTL_PARTS_H

#include <mullion/frame.h>

#include "mullctl.h"

#define WORDS_MAX 256

/* A frame that waits for its reply. */
struct posted {
	bool used;
	uint32_t sequence;
	int attempts;
	bool ends_machine; /* asks for it: MULL_COMMAND_MACHINE */
	double since;	   /* when it was first sent */
	double due;	   /* when it is sent again */
	mull_done *done;
	void *context;
	size_t length;
	uint8_t wire[FRAME_WIRE_MAX];
};

struct mull {
	int fd;
	struct udp *udp; /* NULL: the line is a stream */
	int lock;	 /* keeps other clients from the line, or -1 */
	bool ended;
	uint32_t sequence;
	double patience; /* seconds until a frame is sent again */
	struct mull_handlers handlers;
	struct frame_decoder decoder;
	uint8_t other_version;	   /* of frames that came; 0: of none */
	struct mull_answer answer; /* the one that is handed on */
	struct posted posted[MULL_UNANSWERED_MAX];
	char words[WORDS_MAX];
	size_t out_length;
	uint8_t out[(2 * MULL_UNANSWERED_MAX + 1) * FRAME_WIRE_MAX];
};

/* Keeps the words and returns @error. */
int mull_fail(struct mull *mull, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* calls.c: one record; what a newer hypervisor adds at its end is left out, and
 * what an older one lacks is 0. */
int mull_ask_record(struct mull *mull, enum mull_command command, uint32_t vm,
		    uint64_t argument, void *record, size_t size);
/* calls.c: all records of a command that tells by its value where to go on. */
int mull_ask_list_of(struct mull *mull, enum mull_command command, uint32_t vm,
		     void *list, size_t size, size_t room, size_t *count);
/* The same for what is not about a VM. */
int mull_ask_list(struct mull *mull, enum mull_command command, void *list,
		  size_t size, size_t room, size_t *count);
/* The words for, and the error, that an answer breaks the protocol. */
int mull_bad_answer(struct mull *mull);

/* address.c: opens mull->fd and takes mull->lock. */
int mull_connect(struct mull *mull, const char *address);

/* udp.c: begins a session, whose bytes then go by these.  A read that returns
 * false has seen it end. */
int mull_open_udp(struct mull *mull, const char *place);
void mull_udp_write(struct mull *mull);
bool mull_udp_read(struct mull *mull);
/* Whether bytes are on their way; milliseconds, at most @most, until something
 * is to be sent. */
bool mull_udp_holds(const struct mull *mull);
int mull_udp_wait(const struct mull *mull, int most);
void mull_udp_close(struct mull *mull);

/* Seconds on a clock that nobody sets. */
double mull_clock(void);
/* Ends the text in @room bytes, and makes it printable. */
void mull_clean(char *text, size_t room);

#endif
