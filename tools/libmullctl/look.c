/* SPDX-License-Identifier: MIT */
/* Looking into a paused VM: registers, memory, steps. */
#include <string.h>

#include "parts.h"

/* Questions under way at once.  Enough to keep the line busy with answers; with
 * more, the last one's is sent again on a slow line, which makes it slower. */
#define ASKED_MAX 3
/* Zeros that one reply is asked for: many take long in a slow emulator. */
#define SCAN_MAX (2u << 20)

int mull_registers(struct mull *mull, uint32_t vm, uint32_t vcpu,
		   struct mull_registers *registers)
{
	return mull_ask_record(mull, MULL_COMMAND_REGISTERS, vm, vcpu,
			       registers, sizeof *registers);
}

int mull_set_registers(struct mull *mull, uint32_t vm, uint32_t vcpu,
		       const struct mull_registers *registers)
{
	return mull_request(mull, MULL_COMMAND_SET_REGISTERS, vm, vcpu,
			    registers, sizeof *registers, NULL);
}

int mull_set_memory(struct mull *mull, uint32_t vm, uint64_t address,
		    const void *bytes, size_t length)
{
	const uint8_t *from = bytes;
	int error = MULL_OK;

	while (!error && length) {
		size_t piece = length < MULL_REQUEST_DATA_MAX ?
				       length :
				       MULL_REQUEST_DATA_MAX;

		error = mull_request(mull, MULL_COMMAND_SET_MEMORY, vm, address,
				     from, piece, NULL);
		address += piece;
		from += piece;
		length -= piece;
	}
	return error;
}

int mull_debug(struct mull *mull, uint32_t vm, bool on)
{
	return mull_ask(mull, MULL_COMMAND_DEBUG, vm, on, NULL);
}

int mull_step(struct mull *mull, uint32_t vm, uint32_t vcpu)
{
	return mull_ask(mull, MULL_COMMAND_STEP, vm, vcpu, NULL);
}

/* ---- memory ------------------------------------------------------------- */

/*
 * Several requests are under way while bytes come.  Where zeros begin, one
 * asks how far they go, since only its answer tells where to go on.
 */
struct reading {
	struct mull *mull;
	uint32_t vm;
	uint64_t at, end; /* not asked for yet */
	bool in_zeros;
	int error;
	mull_piece *piece;
	void *context;
	size_t under_way;
	struct asked {
		struct reading *reading; /* NULL: free */
		uint64_t address;
		uint32_t wanted;
	} asked[ASKED_MAX];
};

/* Bytes that the answer is about; 0: it is not as it should be. */
static uint64_t size_of(const struct asked *asked,
			const struct mull_answer *answer)
{
	uint32_t most = asked->wanted < MULL_REPLY_DATA_MAX ?
				asked->wanted :
				MULL_REPLY_DATA_MAX;

	if (answer->length)
		return answer->length == most ? most : 0;
	return answer->value <= asked->wanted &&
			       answer->value >= MULL_REPLY_DATA_MAX ?
		       answer->value :
		       0;
}

static void on_memory(void *context, int error,
		      const struct mull_answer *answer)
{
	struct asked *asked = context;
	struct reading *reading = asked->reading;
	uint64_t size = error ? 0 : size_of(asked, answer);

	asked->reading = NULL;
	reading->under_way--;
	if (reading->error)
		return;
	if (!error && !size)
		error = mull_bad_answer(reading->mull);
	/* A question into zeros is alone, so it says where they end. */
	if (asked->wanted > MULL_REPLY_DATA_MAX)
		reading->at = asked->address + size;
	reading->in_zeros = !error && !answer->length;
	if (!error &&
	    !reading->piece(reading->context, asked->address,
			    answer->length ? answer->data : NULL, size))
		error = MULL_STOPPED;
	reading->error = error;
}

static int ask_memory(struct reading *reading)
{
	uint64_t left = reading->end - reading->at;
	uint32_t most = reading->in_zeros ? SCAN_MAX : MULL_REPLY_DATA_MAX;
	struct asked *asked = reading->asked;
	struct {
		struct mull_request request;
		uint32_t wanted;
	} __attribute__((packed)) payload = {
		.request = { .command = MULL_COMMAND_MEMORY,
			     .vm = reading->vm,
			     .argument = reading->at },
		.wanted = left < most ? (uint32_t)left : most,
	};
	int error;

	while (asked->reading)
		asked++; /* there is one */
	*asked = (struct asked){ reading, reading->at, payload.wanted };
	error = mull_post(reading->mull, MULL_FRAME_REQUEST,
			  MULL_STREAM_HYPERVISOR, &payload, sizeof payload,
			  on_memory, asked);
	if (error) {
		asked->reading = NULL;
		return error;
	}
	reading->at += payload.wanted;
	reading->under_way++;
	return MULL_OK;
}

static bool may_ask(const struct reading *reading)
{
	return !reading->error && reading->at < reading->end &&
	       reading->under_way < (reading->in_zeros ? 1 : ASKED_MAX);
}

int mull_memory(struct mull *mull, uint32_t vm, uint64_t address,
		uint64_t length, mull_piece *piece, void *context)
{
	struct reading reading = { .mull = mull,
				   .vm = vm,
				   .at = address,
				   .end = address + length,
				   .piece = piece,
				   .context = context };

	while (reading.under_way ||
	       (!reading.error && reading.at < reading.end)) {
		int error = MULL_OK;

		while (!error && may_ask(&reading))
			error = ask_memory(&reading);
		if (error && error != MULL_FULL)
			reading.error = error;
		/* Each question is finished, by an answer or its attempts:
		 * until then it is on this stack. */
		mull_pump(mull, reading.under_way ? -1 : 100, -1);
	}
	return reading.error;
}

struct copying {
	uint8_t *to;
	uint64_t address;
};

static bool copy_piece(void *context, uint64_t address, const void *bytes,
		       uint64_t length)
{
	struct copying *copying = context;
	uint8_t *to = copying->to + (address - copying->address);

	if (bytes)
		memcpy(to, bytes, length);
	else
		memset(to, 0, length);
	return true;
}

int mull_read_memory(struct mull *mull, uint32_t vm, uint64_t address,
		     void *bytes, size_t length)
{
	struct copying copying = { bytes, address };

	return mull_memory(mull, vm, address, length, copy_piece, &copying);
}
