/* SPDX-License-Identifier: MIT */
/*
 * The keyboard controller of a PC, with a keyboard that nobody touches: it is
 * there since some firmware waits for ever when none answers.  There is no
 * mouse.  IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller", "Keyboards (101- and 102-Key)".
 */
#include "pc_parts.h"

#include <string.h>

#define PORT_DATA 0x60
#define PORT_COMMAND 0x64
#define PIN_KEYBOARD 1

#define STATUS_ANSWER BIT(0)
#define STATUS_TESTED BIT(2)
#define STATUS_COMMAND BIT(3)
#define STATUS_UNLOCKED BIT(4)

#define MODE_INTERRUPT BIT(0)

enum command {
	READ_MODE = 0x20,
	WRITE_MODE = 0x60,
	TEST_AUX = 0xa9,
	TEST_ITSELF = 0xaa,
	TEST_KEYBOARD = 0xab,
	READ_INPUT = 0xc0,
	READ_OUTPUT = 0xd0,
	WRITE_OUTPUT = 0xd1,
	WRITE_ANSWER = 0xd2,
	WRITE_AUX_ANSWER = 0xd3,
	WRITE_AUX = 0xd4,
	PULSE = 0xf0, /* the lines whose bits are 0 */
};

#define TEST_PASSED 0x55
#define PORT_IS_GOOD 0x00
#define CLOCK_LOW 0x01 /* "clock line stuck low": nothing is there */
#define OUTPUT_NO_RESET BIT(0)
#define OUTPUT_A20 BIT(1)

enum keyboard_command {
	SET_LEDS = 0xed,
	ECHO = 0xee,
	SCAN_CODES = 0xf0,
	IDENTIFY = 0xf2,
	SET_RATE = 0xf3,
	RESET = 0xff,
};

#define ACKNOWLEDGE 0xfa
#define SELF_TEST_PASSED 0xaa
#define SCAN_CODE_SET 2

/* One that nobody has fetched makes room: it is lost, as on a real one. */
static void answer(struct i8042 *i8042, uint8_t value)
{
	if (i8042->answer_count == sizeof i8042->answers)
		i8042->answer_count--;
	i8042->answers[i8042->answer_count++] = value;
}

static void settle(struct vm *vm)
{
	const struct i8042 *i8042 = &vm->pc->i8042;

	io_apic_set_line(vm, PIN_KEYBOARD,
			 i8042->answer_count && i8042->mode & MODE_INTERRUPT);
}

/* ---- the keyboard -------------------------------------------------------- */

static void to_keyboard(struct i8042 *keyboard, uint8_t value)
{
	uint8_t before = keyboard->keyboard_command;

	keyboard->keyboard_command = 0;
	if (before) { /* the second byte of that one */
		answer(keyboard, ACKNOWLEDGE);
		if (before == SCAN_CODES && value == 0)
			answer(keyboard, SCAN_CODE_SET);
		return;
	}
	answer(keyboard, value == ECHO ? ECHO : ACKNOWLEDGE);
	switch (value) {
	case SET_LEDS:
	case SCAN_CODES:
	case SET_RATE:
		keyboard->keyboard_command = value;
		break;
	case IDENTIFY:
		answer(keyboard, 0xab);
		answer(keyboard, 0x83);
		break;
	case RESET:
		answer(keyboard, SELF_TEST_PASSED);
		break;
	}
}

/* ---- the controller ------------------------------------------------------ */

static void set_output(struct vm *vm, uint8_t value)
{
	if (!(value & OUTPUT_NO_RESET))
		vm_end(vm, MULL_END_RESET, 0,
		       "the guest asked for a reset by the keyboard "
		       "controller");
}

static void command(struct vm *vm, uint8_t value)
{
	struct i8042 *i8042 = &vm->pc->i8042;

	i8042->command = 0;
	switch (value) {
	case READ_MODE:
		answer(i8042, i8042->mode);
		break;
	case TEST_ITSELF:
		answer(i8042, TEST_PASSED);
		break;
	case TEST_KEYBOARD:
		answer(i8042, PORT_IS_GOOD);
		break;
	case TEST_AUX:
		answer(i8042, CLOCK_LOW);
		break;
	case READ_INPUT:
		answer(i8042, 0);
		break;
	case READ_OUTPUT:
		answer(i8042, OUTPUT_NO_RESET | OUTPUT_A20);
		break;
	case WRITE_MODE:
	case WRITE_OUTPUT:
	case WRITE_ANSWER:
	case WRITE_AUX_ANSWER:
	case WRITE_AUX:
		i8042->command = value;
		break;
	case PULSE ... 0xff:
		set_output(vm, value);
		break;
	}
}

static void data(struct vm *vm, uint8_t value)
{
	struct i8042 *i8042 = &vm->pc->i8042;
	uint8_t before = i8042->command;

	i8042->command = 0;
	switch (before) {
	case WRITE_MODE:
		i8042->mode = value;
		break;
	case WRITE_OUTPUT:
		set_output(vm, value);
		break;
	case WRITE_ANSWER:
	case WRITE_AUX_ANSWER:
		answer(i8042, value);
		break;
	case WRITE_AUX: /* heard by nobody */
		break;
	default:
		to_keyboard(i8042, value);
		break;
	}
}

uint8_t i8042_read(struct vm *vm, uint16_t port)
{
	struct i8042 *i8042 = &vm->pc->i8042;
	uint8_t value = i8042->answers[0];

	if (port == PORT_COMMAND)
		return (i8042->answer_count ? STATUS_ANSWER : 0) |
		       STATUS_TESTED | STATUS_COMMAND | STATUS_UNLOCKED;
	if (i8042->answer_count) {
		i8042->answer_count--;
		memmove(i8042->answers, i8042->answers + 1,
			i8042->answer_count);
	}
	/* Each byte is an edge of its own. */
	io_apic_set_line(vm, PIN_KEYBOARD, false);
	settle(vm);
	return value;
}

void i8042_write(struct vm *vm, uint16_t port, uint8_t value)
{
	if (port == PORT_COMMAND)
		command(vm, value);
	else
		data(vm, value);
	settle(vm);
}
