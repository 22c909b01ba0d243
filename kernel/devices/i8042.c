/* SPDX-License-Identifier: MIT */
/*
 * The keyboard controller of a PC that has no keyboard: it passes its tests,
 * finds nothing at its ports, and resets the machine.  IBM PS/2 Hardware
 * Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 */
#include "pc_parts.h"

#include <mullion/bits.h>

#define PORT_DATA 0x60
#define PORT_COMMAND 0x64

#define STATUS_ANSWER BIT(0)
#define STATUS_TESTED BIT(2)
#define STATUS_COMMAND BIT(3)
#define STATUS_UNLOCKED BIT(4)

enum command {
	READ_MODE = 0x20,
	WRITE_MODE = 0x60,
	DISABLE_AUX = 0xa7,
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
#define TEST_CLOCK_LOW 0x01 /* "clock line stuck low": nothing is there */
#define OUTPUT_NO_RESET BIT(0)
#define OUTPUT_A20 BIT(1)

static void answer(struct i8042 *i8042, uint8_t value)
{
	i8042->answer = value;
	i8042->has_answer = true;
}

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
	case TEST_AUX:
	case TEST_KEYBOARD:
		answer(i8042, TEST_CLOCK_LOW);
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

	switch (i8042->command) {
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
	}
	i8042->command = 0; /* what is for a keyboard is heard by nobody */
}

uint8_t i8042_read(struct vm *vm, uint16_t port)
{
	struct i8042 *i8042 = &vm->pc->i8042;

	if (port == PORT_COMMAND)
		return (i8042->has_answer ? STATUS_ANSWER : 0) | STATUS_TESTED |
		       STATUS_COMMAND | STATUS_UNLOCKED;
	i8042->has_answer = false;
	return i8042->answer;
}

void i8042_write(struct vm *vm, uint16_t port, uint8_t value)
{
	if (port == PORT_COMMAND)
		command(vm, value);
	else
		data(vm, value);
}
