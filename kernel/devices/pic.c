/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <mullion/pic.h>

#define CASCADE 2 /* the input of the first chip that the second drives */

#define PORT_LEVELS 0x4d0 /* ELCR, of both chips */
/* The timer, keyboard, cascade; clock and FPU are always edges. */
#define LEVELS_FIRST BITS(7, 3)
#define LEVELS_SECOND (BITS(7, 6) | BITS(4, 1))

/* "Initialization Command Words" */
#define ICW1 BIT(4)
#define ICW1_HAS_ICW4 BIT(0)
#define ICW2_VECTOR BITS(7, 3)
#define ICW4_AUTO_END BIT(1)
#define ICW4_NESTS BIT(4)

/* "Operation Command Words" */
#define OCW3 BIT(3)
#define OCW2_LINE BITS(2, 0)
#define OCW2_END BIT(5)
#define OCW2_SPECIFIC BIT(6)
#define OCW2_ROTATE BIT(7)
#define OCW3_READ BITS(1, 0)
#define OCW3_READ_REQUESTS 2
#define OCW3_READ_IN_SERVICE 3
#define OCW3_POLL BIT(2)
#define OCW3_SPECIAL_MASK BIT(5)
#define OCW3_SET_SPECIAL_MASK BIT(6)
#define POLL_INTERRUPT BIT(7)

void pic_reset(struct pic *pic)
{
	*pic = (struct pic){ 0 };
	for (int i = 0; i < 2; i++) {
		pic->chips[i].lowest = 7;
		pic->chips[i].vector = i ? 0x70 : 0x08;
		/* Until software has said where its vectors are. */
		pic->chips[i].mask = 0xff;
	}
}

/* ---- priorities ---------------------------------------------------------- */

/* The most important of @lines; PIC_NONE: there is none. */
static int first_of(const struct pic_chip *chip, uint8_t lines)
{
	for (int i = 1; i <= 8; i++) {
		int line = (chip->lowest + i) % 8;

		if (lines & BIT(line))
			return line;
	}
	return PIC_NONE;
}

static int rank(const struct pic_chip *chip, int line)
{
	return (line - chip->lowest - 1) & 7;
}

/* What an input asks for: its level, or the edge that it keeps. */
static uint8_t requests(const struct pic_chip *chip)
{
	return (chip->lines & chip->levels) | (chip->edges & ~chip->levels);
}

/* The input that @chip, which has @asks, would interrupt for. */
static int chosen(const struct pic_chip *chip, uint8_t asks)
{
	int line = first_of(chip, asks & ~chip->mask);
	uint8_t busy = chip->in_service;
	int now;

	if (chip->special_mask)
		busy &= ~chip->mask;
	if (chip->nests) /* the second chip knows what is more important */
		busy &= ~BIT(CASCADE);
	now = first_of(chip, busy);
	if (line == PIC_NONE || now == PIC_NONE)
		return line;
	return rank(chip, line) < rank(chip, now) ? line : PIC_NONE;
}

static uint8_t asks_of(const struct pic *pic, int number)
{
	const struct pic_chip *second = &pic->chips[1];
	uint8_t asks = requests(&pic->chips[number]);

	if (number == 0) {
		asks &= ~BIT(CASCADE);
		if (chosen(second, requests(second)) != PIC_NONE)
			asks |= BIT(CASCADE);
	}
	return asks;
}

bool pic_output(const struct pic *pic)
{
	return chosen(&pic->chips[0], asks_of(pic, 0)) != PIC_NONE;
}

void pic_set_line(struct pic *pic, uint32_t line, bool high)
{
	struct pic_chip *chip = &pic->chips[line / 8 % 2];
	uint8_t bit = (uint8_t)BIT(line % 8);

	if (high && !(chip->lines & bit))
		chip->edges |= bit;
	chip->lines = high ? chip->lines | bit : chip->lines & ~bit;
}

/* ---- acknowledging and ending -------------------------------------------- */

static void end(struct pic_chip *chip, int line, bool rotate)
{
	if (line == PIC_NONE)
		return;
	chip->in_service &= ~BIT(line);
	if (rotate)
		chip->lowest = (uint8_t)line;
}

static void take(struct pic_chip *chip, int line)
{
	chip->edges &= ~BIT(line);
	chip->in_service |= BIT(line);
	if (chip->ends_itself)
		end(chip, line, chip->rotates);
}

int pic_acknowledge(struct pic *pic)
{
	struct pic_chip *first = &pic->chips[0], *second = &pic->chips[1];
	int line = chosen(first, asks_of(pic, 0));

	if (line == PIC_NONE)
		return PIC_NONE;
	if (line != CASCADE) {
		take(first, line);
		return first->vector + line;
	}
	line = chosen(second, requests(second));
	take(first, CASCADE);
	take(second, line);
	return second->vector + line;
}

/* ---- registers ----------------------------------------------------------- */

static uint8_t poll(struct pic *pic, int number)
{
	struct pic_chip *chip = &pic->chips[number];
	int line = chosen(chip, asks_of(pic, number));

	chip->polled = false;
	if (line == PIC_NONE)
		return 0;
	take(chip, line);
	return (uint8_t)(POLL_INTERRUPT | line);
}

uint8_t pic_read(struct pic *pic, uint16_t port)
{
	int number = port >> 7 & 1;
	struct pic_chip *chip = &pic->chips[number];

	if (port >= PORT_LEVELS)
		return pic->chips[port & 1].levels;
	if (chip->polled)
		return poll(pic, number);
	if (port & 1)
		return chip->mask;
	return chip->reads_in_service ? chip->in_service : asks_of(pic, number);
}

static void begin_words(struct pic_chip *chip, uint8_t word)
{
	*chip = (struct pic_chip){ .lines = chip->lines,
				   .levels = chip->levels,
				   .vector = chip->vector,
				   .lowest = 7,
				   .expects = 2,
				   .has_word_4 = word & ICW1_HAS_ICW4 };
}

static void next_word(struct pic_chip *chip, uint8_t word)
{
	switch (chip->expects++) {
	case 2:
		chip->vector = word & ICW2_VECTOR;
		return;
	case 3: /* how the chips hang together is not for software to say */
		if (!chip->has_word_4)
			chip->expects = 0;
		return;
	default:
		chip->ends_itself = word & ICW4_AUTO_END;
		chip->nests = word & ICW4_NESTS;
		chip->expects = 0;
		return;
	}
}

static void write_ocw2(struct pic_chip *chip, uint8_t word)
{
	bool rotate = word & OCW2_ROTATE;
	int line = word & OCW2_LINE;
	uint8_t busy = chip->in_service;

	if (!(word & OCW2_END)) {
		if (!(word & OCW2_SPECIFIC))
			chip->rotates = rotate;
		else if (rotate)
			chip->lowest = (uint8_t)line;
		return;
	}
	if (chip->special_mask)
		busy &= ~chip->mask;
	end(chip, word & OCW2_SPECIFIC ? line : first_of(chip, busy), rotate);
}

static void write_ocw3(struct pic_chip *chip, uint8_t word)
{
	if (word & OCW3_POLL)
		chip->polled = true;
	if (field_get(OCW3_READ, word) >= OCW3_READ_REQUESTS)
		chip->reads_in_service = field_get(OCW3_READ, word) ==
					 OCW3_READ_IN_SERVICE;
	if (word & OCW3_SET_SPECIAL_MASK)
		chip->special_mask = word & OCW3_SPECIAL_MASK;
}

void pic_write(struct pic *pic, uint16_t port, uint8_t value)
{
	struct pic_chip *chip = &pic->chips[port >> 7 & 1];

	if (port >= PORT_LEVELS)
		pic->chips[port & 1].levels = value &
					      (port & 1 ? LEVELS_SECOND :
							  LEVELS_FIRST);
	else if (port & 1 && chip->expects)
		next_word(chip, value);
	else if (port & 1)
		chip->mask = value;
	else if (value & ICW1)
		begin_words(chip, value);
	else if (value & OCW3)
		write_ocw3(chip, value);
	else
		write_ocw2(chip, value);
}
