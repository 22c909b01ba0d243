/* SPDX-License-Identifier: MIT */
/* Images: what there is, there and back. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

#define PIECE_MAX (MULL_FRAME_PAYLOAD_MAX - sizeof(struct mull_upload_data))
#define ROUNDS 3 /* without an answer, until an upload is given up */
/* Going back without one byte taken, until the answers are called bad. */
#define FRUITLESS_MAX 100

int mull_images(struct mull *mull,
		struct mull_image_status images[MULL_IMAGE_MAX], size_t *count)
{
	int error = mull_ask_list(mull, MULL_COMMAND_IMAGES, images,
				  sizeof *images, MULL_IMAGE_MAX, count);

	for (size_t i = 0; i < *count; i++)
		mull_clean(images[i].name, sizeof images[i].name);
	return error;
}

int mull_find_image(struct mull *mull, const char *name,
		    struct mull_image_status *image)
{
	struct mull_image_status images[MULL_IMAGE_MAX];
	size_t count;
	int error = mull_images(mull, images, &count);
	char number[16];

	if (error)
		return error;
	for (int by_number = 0; by_number < 2; by_number++)
		for (size_t i = 0; i < count; i++) {
			snprintf(number, sizeof number, "%u", images[i].number);
			if (strcmp(by_number ? number : images[i].name, name))
				continue;
			*image = images[i];
			return MULL_OK;
		}
	return mull_fail(mull, ERR_NOT_FOUND, "there is no image \"%.64s\"",
			 name);
}

int mull_delete_image(struct mull *mull, uint32_t image)
{
	return mull_ask(mull, MULL_COMMAND_IMAGE_DELETE, 0, image, NULL);
}

int mull_read_image(struct mull *mull, uint32_t image, mull_piece *piece,
		    void *context)
{
	struct mull_answer answer;
	uint64_t at = 0;

	do {
		int error = mull_ask(mull, MULL_COMMAND_IMAGE_READ, image, at,
				     &answer);

		if (error)
			return error;
		if (!answer.length || answer.length > answer.value - at ||
		    answer.value <= at)
			return mull_bad_answer(mull);
		if (!piece(context, at, answer.data, answer.length))
			return MULL_STOPPED;
		at += answer.length;
	} while (at < answer.value);
	return MULL_OK;
}

/* ---- upload ------------------------------------------------------------- */

struct sending {
	struct mull *mull;
	const struct mull_upload *upload;
	const uint8_t *wire;
	mull_progress *progress;
	void *context;
	uint32_t number;    /* of the image */
	uint64_t room;	    /* bytes that may be on their way */
	uint64_t next;	    /* to be sent */
	uint64_t wanted;    /* by the hypervisor */
	uint32_t turn;	    /* one more each time that it goes back */
	uint32_t fruitless; /* of those, since a byte was taken */
	int error;
	size_t under_way;
	struct sent {
		struct sending *sending; /* NULL: free */
		uint64_t end;
		uint32_t turn;
	} sent[MULL_UNANSWERED_MAX];
};

/* Where the hypervisor is, by any answer: one that was late says less. */
static int take_wanted(struct sending *sending, uint64_t wanted)
{
	if (wanted > sending->upload->wire_size)
		return mull_bad_answer(sending->mull);
	if (wanted > sending->wanted) {
		sending->wanted = wanted;
		sending->fruitless = 0;
	}
	if (sending->next < sending->wanted)
		sending->next = sending->wanted;
	return sending->progress(sending->context, sending->wanted) ?
		       MULL_OK :
		       MULL_STOPPED;
}

static void on_taken(void *context, int error, const struct mull_answer *answer)
{
	struct sent *sent = context;
	struct sending *sending = sent->sending;

	sent->sending = NULL;
	sending->under_way--;
	if (sending->error)
		return;
	if (!error)
		error = take_wanted(sending, answer->value);
	sending->error = error;
	/* It was dropped, since one before it was lost.  What was sent behind
	 * it in the same turn is dropped as well. */
	if (!error && answer->value < sent->end &&
	    sent->turn == sending->turn) {
		sending->next = sending->wanted;
		sending->turn++;
		if (++sending->fruitless == FRUITLESS_MAX)
			sending->error = mull_bad_answer(sending->mull);
	}
}

static size_t next_length(const struct sending *sending)
{
	uint64_t left = sending->upload->wire_size - sending->next;

	return left < PIECE_MAX ? (size_t)left : PIECE_MAX;
}

static int send_piece(struct sending *sending)
{
	size_t length = next_length(sending);
	struct sent *sent = sending->sent;
	const struct mull_upload_data header = { .offset = sending->next };
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];
	int error;

	while (sent->sending)
		sent++; /* there is one */
	*sent = (struct sent){ sending, sending->next + length, sending->turn };
	memcpy(payload, &header, sizeof header);
	memcpy(payload + sizeof header, sending->wire + sending->next, length);
	error = mull_post(sending->mull, MULL_FRAME_UPLOAD_DATA,
			  (uint16_t)sending->number, payload,
			  sizeof header + length, on_taken, sent);
	if (error) {
		sent->sending = NULL;
		return error;
	}
	sending->next += length;
	sending->under_way++;
	return MULL_OK;
}

static bool may_send(const struct sending *sending)
{
	size_t length = next_length(sending);

	return !sending->error && length &&
	       sending->under_way < MULL_UNANSWERED_MAX &&
	       sending->next + length - sending->wanted <= sending->room;
}

static int send_all(struct sending *sending)
{
	while (sending->under_way ||
	       (!sending->error &&
		sending->wanted < sending->upload->wire_size)) {
		int error = MULL_OK;

		while (!error && may_send(sending))
			error = send_piece(sending);
		if (error && error != MULL_FULL)
			sending->error = error;
		/* Each piece is finished, by an answer or its attempts: until
		 * then it is on this stack. */
		mull_pump(sending->mull, sending->under_way ? -1 : 100, -1);
	}
	return sending->error;
}

/* Begins it, or goes on where it stopped. */
static int begin(struct sending *sending)
{
	struct mull_upload_state state;
	struct mull_answer answer;
	uint32_t frames;
	int error = mull_request(sending->mull, MULL_COMMAND_UPLOAD, 0, 0,
				 sending->upload, sizeof *sending->upload,
				 &answer);

	if (error)
		return error;
	if (answer.length < sizeof state)
		return mull_bad_answer(sending->mull);
	memcpy(&state, answer.data, sizeof state);
	frames = state.window / FRAME_WIRE_MAX;
	sending->number = state.number;
	sending->room = PIECE_MAX * (frames ? frames : 1);
	sending->next = sending->wanted = answer.value;
	return take_wanted(sending, answer.value);
}

int mull_upload_image(struct mull *mull, const struct mull_upload *upload,
		      const void *wire, mull_progress *progress, void *context,
		      uint32_t *number)
{
	struct sending sending = { .mull = mull,
				   .upload = upload,
				   .wire = wire,
				   .progress = progress,
				   .context = context };
	int error, silent = 0;

	do {
		uint64_t before = sending.wanted;

		sending.error = MULL_OK;
		error = begin(&sending);
		if (!error)
			error = send_all(&sending);
		if (!error)
			error = mull_ask(mull, MULL_COMMAND_UPLOAD_END, 0,
					 sending.number, NULL);
		silent = sending.wanted > before ? 0 : silent + 1;
	} while (error == MULL_NO_ANSWER && silent < ROUNDS);
	*number = sending.number;
	return error;
}
