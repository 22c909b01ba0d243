/* SPDX-License-Identifier: MIT */
#include "rate.h"

#include <mullion/bits.h>
#include <mullion/pit.h>

#define PORT_CONTROL 3 /* of the four */

/* "Control Word Format" */
#define CONTROL_BCD BIT(0)
#define CONTROL_MODE BITS(3, 1)
#define CONTROL_ACCESS BITS(5, 4)
#define CONTROL_CHANNEL BITS(7, 6)
#define CHANNEL_READ_BACK 3
enum access { LATCH, LOW_BYTE, HIGH_BYTE, BOTH_BYTES };

/* "Read-Back Command Format" and "Status Byte" */
#define READ_BACK_NO_COUNT BIT(5)
#define READ_BACK_NO_STATUS BIT(4)
#define STATUS_NULL_COUNT BIT(6)
#define STATUS_OUTPUT BIT(7)

enum mode { AT_ZERO, ONE_SHOT, RATE, SQUARE, STROBE, TRIGGERED_STROBE };

/* A guest's timer alone must not keep a processor in the hypervisor: of
 * shorter periods than 20 us, so many make one interrupt. */
#define PERIOD_MIN (PIT_HZ / 50000 + 1)

void pit_reset(struct pit *pit)
{
	*pit = (struct pit){ .next = ARCH_NO_DEADLINE };
	for (uint32_t i = 0; i < PIT_CHANNELS; i++) {
		pit->channels[i].gate = i != PIT_SPEAKER;
		pit->channels[i].access = BOTH_BYTES;
		pit->channels[i].mode = SQUARE;
	}
}

static bool is_periodic(const struct pit_channel *channel)
{
	return channel->mode == RATE || channel->mode == SQUARE;
}

/* Those that begin when their gate rises, not when they are loaded. */
static bool is_triggered(const struct pit_channel *channel)
{
	return channel->mode == ONE_SHOT || channel->mode == TRIGGERED_STROBE;
}

static uint64_t elapsed(const struct pit_channel *channel, uint64_t now)
{
	/* Another CPU's clock may be a little behind. */
	if (!channel->counts || now < channel->start)
		return channel->held;
	return channel->held + rate_ticks(now - channel->start, PIT_HZ);
}

static bool output_of(const struct pit_channel *channel, uint64_t now)
{
	uint64_t ticks = elapsed(channel, now), count = channel->count;

	if (!channel->loaded)
		return channel->mode != AT_ZERO;
	if (is_periodic(channel) && !channel->gate)
		return true;
	if (is_triggered(channel) && !channel->counts)
		return true;
	switch ((enum mode)channel->mode) {
	case AT_ZERO:
	case ONE_SHOT:
		return ticks >= count;
	case RATE:
		return ticks % count != count - 1;
	case SQUARE:
		return ticks % count < (count + 1) / 2;
	case STROBE:
	case TRIGGERED_STROBE:
		break;
	}
	return ticks != count;
}

bool pit_output(const struct pit *pit, uint32_t number, uint64_t now)
{
	return output_of(&pit->channels[number], now);
}

/* What is in the counter, as it is read. */
static uint16_t current(const struct pit_channel *channel, uint64_t now)
{
	uint64_t ticks = elapsed(channel, now), count = channel->count;
	uint32_t all = channel->bcd ? 10000 : 0x10000;
	uint32_t value;

	if (!channel->loaded)
		return 0;
	if (channel->mode == SQUARE)
		ticks *= 2; /* it counts by twos */
	if (is_periodic(channel))
		value = (uint32_t)(count - ticks % count);
	else
		value = (uint32_t)(count + all - ticks % all) % all;
	if (!channel->bcd)
		return (uint16_t)value;
	value %= all;
	return (uint16_t)(value / 1000 << 12 | value / 100 % 10 << 8 |
			  value / 10 % 10 << 4 | value % 10);
}

/* ---- counting ------------------------------------------------------------ */

static void begin(struct pit_channel *channel, uint64_t now)
{
	channel->held = 0;
	channel->start = now;
	channel->counts = true;
}

/* Digits beyond 9 are no BCD; each counts for what it says. */
static uint32_t from_bcd(uint32_t value)
{
	return (value >> 12) * 1000 + (value >> 8 & 0xf) * 100 +
	       (value >> 4 & 0xf) * 10 + (value & 0xf);
}

static void load(struct pit_channel *channel, uint32_t value, uint64_t now)
{
	channel->count = channel->bcd ? from_bcd(value) : value;
	if (!channel->count)
		channel->count = channel->bcd ? 10000 : 0x10000;
	/* "Minimum and Maximum Initial Counts" */
	if (is_periodic(channel) && channel->count == 1)
		channel->count = 2;
	channel->loaded = true;
	if (is_triggered(channel))
		return;
	begin(channel, now);
	channel->counts = channel->gate;
}

/* Channel 0's output rises behind @ticks: next at the time that is set. */
static void set_next(struct pit *pit, uint64_t ticks)
{
	const struct pit_channel *channel = &pit->channels[0];
	uint64_t at = channel->count;

	pit->next = ARCH_NO_DEADLINE;
	if (!channel->loaded || !channel->counts || !channel->gate)
		return;
	if (is_periodic(channel)) {
		at *= (PERIOD_MIN + at - 1) / at;
		at *= ticks / at + 1;
	} else if (channel->mode == STROBE) {
		at++;
	}
	if (at > ticks)
		pit->next = channel->start + rate_time(at, PIT_HZ);
}

bool pit_fires(struct pit *pit, uint64_t now)
{
	if (now < pit->next)
		return false;
	set_next(pit, elapsed(&pit->channels[0], now));
	return true;
}

void pit_set_gate(struct pit *pit, uint32_t number, bool high, uint64_t now)
{
	struct pit_channel *channel = &pit->channels[number];

	if (high == channel->gate)
		return;
	if (!high && !is_triggered(channel)) {
		channel->held = elapsed(channel, now);
		channel->counts = false;
	}
	channel->gate = high;
	if (!high || !channel->loaded)
		return;
	if (is_periodic(channel) || is_triggered(channel)) {
		begin(channel, now);
	} else {
		channel->start = now;
		channel->counts = true;
	}
}

/* ---- registers ----------------------------------------------------------- */

static void latch_count(struct pit_channel *channel, uint64_t now)
{
	if (channel->latched_bytes)
		return; /* until it has been read */
	channel->latched_count = current(channel, now);
	channel->latched_bytes = channel->access == BOTH_BYTES ? 2 : 1;
	if (channel->access == HIGH_BYTE)
		channel->latched_count >>= 8;
}

static void latch_status(struct pit_channel *channel, uint64_t now)
{
	if (channel->has_status)
		return;
	channel->has_status = true;
	channel->latched_status =
		(uint8_t)((output_of(channel, now) ? STATUS_OUTPUT : 0) |
			  (channel->loaded ? 0 : STATUS_NULL_COUNT) |
			  field_make(CONTROL_ACCESS, channel->access) |
			  field_make(CONTROL_MODE, channel->mode) |
			  (channel->bcd ? CONTROL_BCD : 0));
}

static uint8_t read_channel(struct pit_channel *channel, uint64_t now)
{
	uint16_t value;

	if (channel->has_status) {
		channel->has_status = false;
		return channel->latched_status;
	}
	if (channel->latched_bytes) {
		value = channel->latched_count;
		channel->latched_count >>= 8;
		channel->latched_bytes--;
		return (uint8_t)value;
	}
	value = current(channel, now);
	if (channel->access == HIGH_BYTE)
		return value >> 8;
	if (channel->access == LOW_BYTE)
		return (uint8_t)value;
	channel->read_high = !channel->read_high;
	return channel->read_high ? (uint8_t)value : value >> 8;
}

uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now)
{
	if (port % 4 == PORT_CONTROL) /* it can only be written */
		return 0xff;
	return read_channel(&pit->channels[port % 4], now);
}

static void read_back(struct pit *pit, uint8_t value, uint64_t now)
{
	for (int i = 0; i < PIT_CHANNELS; i++) {
		if (!(value & BIT(i + 1)))
			continue;
		if (!(value & READ_BACK_NO_COUNT))
			latch_count(&pit->channels[i], now);
		if (!(value & READ_BACK_NO_STATUS))
			latch_status(&pit->channels[i], now);
	}
}

static void write_control(struct pit *pit, uint8_t value, uint64_t now)
{
	uint32_t number = (uint32_t)field_get(CONTROL_CHANNEL, value);
	struct pit_channel *channel = &pit->channels[number];

	if (number == CHANNEL_READ_BACK) {
		read_back(pit, value, now);
		return;
	}
	if (field_get(CONTROL_ACCESS, value) == LATCH) {
		latch_count(channel, now);
		return;
	}
	/* Modes 2 and 3 have a second code each. */
	*channel = (struct pit_channel){
		.access = (uint8_t)field_get(CONTROL_ACCESS, value),
		.mode = (uint8_t)field_get(CONTROL_MODE, value),
		.bcd = value & CONTROL_BCD,
		.gate = channel->gate,
	};
	if (channel->mode > TRIGGERED_STROBE)
		channel->mode &= 3;
	if (number == 0)
		pit->next = ARCH_NO_DEADLINE;
}

static void write_count(struct pit *pit, uint32_t number, uint8_t value,
			uint64_t now)
{
	struct pit_channel *channel = &pit->channels[number];
	uint32_t count = value;

	if (channel->access == BOTH_BYTES) {
		channel->write_high = !channel->write_high;
		if (channel->write_high) {
			channel->low = value;
			return;
		}
		count = channel->low | (uint32_t)value << 8;
	} else if (channel->access == HIGH_BYTE) {
		count <<= 8;
	}
	load(channel, count, now);
	if (number == 0)
		set_next(pit, 0);
}

void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now)
{
	if (port % 4 == PORT_CONTROL)
		write_control(pit, value, now);
	else
		write_count(pit, port % 4, value, now);
}
