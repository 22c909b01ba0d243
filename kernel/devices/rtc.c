/* SPDX-License-Identifier: MIT */
#include "rate.h"

#include <mullion/bits.h>
#include <mullion/rtc.h>
#include <string.h>

#define SECOND 1000000000ull
/* "Update Cycle": it is announced so long before. */
#define UPDATE_NS 244000
#define DAY 86400
#define ALARM_ANY 0xc0 /* "don't care" */

/* "Address Map" */
enum place {
	SECONDS = 0x00,
	SECONDS_ALARM = 0x01,
	MINUTES = 0x02,
	MINUTES_ALARM = 0x03,
	HOURS = 0x04,
	HOURS_ALARM = 0x05,
	DAY_OF_WEEK = 0x06,
	DAY_OF_MONTH = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REGISTER_A = 0x0a,
	REGISTER_B = 0x0b,
	REGISTER_C = 0x0c,
	REGISTER_D = 0x0d,
	/* The PC's own. */
	EQUIPMENT = 0x14,
	BASE_MEMORY = 0x15,	/* KiB, two bytes */
	EXTENDED_MEMORY = 0x17, /* KiB from 1 MiB on, and again: */
	EXTENDED_MEMORY_TOO = 0x30,
	CENTURY = 0x32,
	MEMORY_ABOVE_16M = 0x34, /* 64 KiB each, two bytes */
	MEMORY_ABOVE_4G = 0x5b,	 /* 64 KiB each, three bytes */
	MORE_CPUS = 0x5f,
};

#define A_UPDATING BIT(7)
#define A_DIVIDER BITS(6, 4)
#define DIVIDER_32768_HZ 2
#define A_RATE BITS(3, 0)
#define B_SET BIT(7)
#define B_PERIODIC BIT(6)
#define B_ALARM BIT(5)
#define B_UPDATE BIT(4)
#define B_BINARY BIT(2)
#define B_24_HOURS BIT(1)
#define C_INTERRUPT BIT(7)
#define C_SOURCES (B_PERIODIC | B_ALARM | B_UPDATE) /* the same bits */
#define D_VALID BIT(7)
#define HOURS_PM BIT(7)

#define EQUIPMENT_FPU BIT(1)
#define EQUIPMENT_MOUSE BIT(2)
#define BASE_KIB 640

/* ---- dates --------------------------------------------------------------- */

/*
 * Days since 1970-01-01 and back, in the proleptic Gregorian calendar, with
 * years that begin in March so that a leap day is the last of one; 400 of them
 * have 146097 days.
 */
static int64_t days_of(int64_t year, uint32_t month, uint32_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	uint32_t m = month <= 2 ? month + 9 : month - 3;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day -
	       1 - 719468;
}

static struct rtc_date date_of(int64_t seconds)
{
	int64_t days, era, of_era, year, of_year, m;
	struct rtc_date date;

	if (seconds < 0)
		seconds = 0;
	days = seconds / DAY;
	date.week_day = (uint32_t)((days + 4) % 7 + 1); /* Sunday is 1 */
	date.hour = (uint32_t)(seconds % DAY / 3600);
	date.minute = (uint32_t)(seconds % 3600 / 60);
	date.second = (uint32_t)(seconds % 60);
	days += 719468;
	era = days / 146097;
	of_era = days % 146097;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) /
	       365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	m = (5 * of_year + 2) / 153;
	date.day = (uint32_t)(of_year - (153 * m + 2) / 5 + 1);
	date.month = (uint32_t)(m < 10 ? m + 3 : m - 9);
	date.year = year + era * 400 + (date.month <= 2);
	return date;
}

static int64_t seconds_of(const struct rtc_date *date)
{
	return days_of(date->year, date->month, date->day) * DAY +
	       date->hour * 3600 + date->minute * 60 + date->second;
}

static int64_t guest_seconds(const struct rtc *rtc, uint64_t now)
{
	return (int64_t)(now / SECOND) + rtc->ahead;
}

/* While it is being set, parts that do not go together stay as they are. */
static struct rtc_date guest_date(const struct rtc *rtc, uint64_t now)
{
	if (rtc->bytes[REGISTER_B] & B_SET)
		return rtc->stopped;
	return date_of(guest_seconds(rtc, now));
}

/* ---- numbers as the registers have them ---------------------------------- */

static uint8_t encode(const struct rtc *rtc, uint32_t value)
{
	if (rtc->bytes[REGISTER_B] & B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static uint32_t decode(const struct rtc *rtc, uint8_t value)
{
	if (rtc->bytes[REGISTER_B] & B_BINARY)
		return value;
	return (value >> 4) * 10u + (value & 0xf);
}

static uint8_t encode_hour(const struct rtc *rtc, uint32_t hour)
{
	if (rtc->bytes[REGISTER_B] & B_24_HOURS)
		return encode(rtc, hour);
	return (uint8_t)(encode(rtc, (hour + 11) % 12 + 1) |
			 (hour >= 12 ? HOURS_PM : 0));
}

static uint32_t decode_hour(const struct rtc *rtc, uint8_t value)
{
	if (rtc->bytes[REGISTER_B] & B_24_HOURS)
		return decode(rtc, value);
	return decode(rtc, value & ~HOURS_PM) % 12 +
	       (value & HOURS_PM ? 12 : 0);
}

static bool is_date(uint8_t place)
{
	return place == CENTURY ||
	       (place <= YEAR && place != SECONDS_ALARM &&
		place != MINUTES_ALARM && place != HOURS_ALARM);
}

static uint8_t read_date(const struct rtc *rtc, uint8_t place, uint64_t now)
{
	struct rtc_date date = guest_date(rtc, now);

	switch ((enum place)place) {
	case SECONDS:
		return encode(rtc, date.second);
	case MINUTES:
		return encode(rtc, date.minute);
	case HOURS:
		return encode_hour(rtc, date.hour);
	case DAY_OF_WEEK:
		return encode(rtc, date.week_day);
	case DAY_OF_MONTH:
		return encode(rtc, date.day);
	case MONTH:
		return encode(rtc, date.month);
	case YEAR:
		return encode(rtc, (uint32_t)(date.year % 100));
	default:
		return encode(rtc, (uint32_t)(date.year / 100));
	}
}

static uint32_t limited(uint32_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* What is no date becomes the nearest one. */
static void write_date(struct rtc *rtc, uint8_t place, uint8_t value,
		       uint64_t now)
{
	struct rtc_date date = guest_date(rtc, now);
	uint32_t number = decode(rtc, value);

	switch ((enum place)place) {
	case SECONDS:
		date.second = limited(number, 0, 59);
		break;
	case MINUTES:
		date.minute = limited(number, 0, 59);
		break;
	case HOURS:
		date.hour = limited(decode_hour(rtc, value), 0, 23);
		break;
	case DAY_OF_WEEK: /* follows from the others */
		return;
	case DAY_OF_MONTH:
		date.day = limited(number, 1, 31);
		break;
	case MONTH:
		date.month = limited(number, 1, 12);
		break;
	case YEAR:
		date.year += (int64_t)limited(number, 0, 99) - date.year % 100;
		break;
	default:
		date.year += 100 * ((int64_t)limited(number, 19, 99) -
				    date.year / 100);
		break;
	}
	if (rtc->bytes[REGISTER_B] & B_SET)
		rtc->stopped = date;
	else
		rtc->ahead = seconds_of(&date) - (int64_t)(now / SECOND);
}

/* ---- interrupts ---------------------------------------------------------- */

/* "Periodic Interrupt Rate": in ticks of 32768 Hz; 0: none. */
static uint32_t period(const struct rtc *rtc)
{
	uint8_t a = rtc->bytes[REGISTER_A];
	uint32_t rate = a & A_RATE;

	if (!rate || field_get(A_DIVIDER, a) != DIVIDER_32768_HZ)
		return 0;
	return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

/* The first multiple of a period behind @after. */
static uint64_t next_period(const struct rtc *rtc, uint64_t after)
{
	uint64_t ticks = rate_convert(after, SECOND, 32768);
	uint32_t step = period(rtc);
	uint64_t at;

	if (!step)
		return UINT64_MAX;
	ticks = (ticks / step + 1) * step;
	at = rate_convert(ticks, 32768, SECOND);
	return rate_convert(at, SECOND, 32768) < ticks ? at + 1 : at;
}

static bool matches(const struct rtc *rtc, enum place place, uint32_t value)
{
	uint8_t alarm = rtc->bytes[place];

	if ((alarm & ALARM_ANY) == ALARM_ANY)
		return true;
	return value == (place == HOURS_ALARM ? decode_hour(rtc, alarm) :
						decode(rtc, alarm));
}

/* The wall-clock time at which the alarm matches next, behind @after. */
static uint64_t next_alarm(const struct rtc *rtc, uint64_t after)
{
	int64_t first = guest_seconds(rtc, after) + 1, at = first;

	if (first < 1)
		return UINT64_MAX;
	/* Hours, minutes and seconds are skipped whole: some 150 rounds. */
	while (at - first <= DAY) {
		if (!matches(rtc, HOURS_ALARM, (uint32_t)(at % DAY / 3600)))
			at += 3600 - at % 3600;
		else if (!matches(rtc, MINUTES_ALARM,
				  (uint32_t)(at % 3600 / 60)))
			at += 60 - at % 60;
		else if (!matches(rtc, SECONDS_ALARM, (uint32_t)(at % 60)))
			at++;
		else
			return (uint64_t)(at - rtc->ahead) * SECOND;
	}
	return UINT64_MAX;
}

static uint64_t next_update(uint64_t after)
{
	return (after / SECOND + 1) * SECOND;
}

/* Register C's sources, up to @now. */
static void look(struct rtc *rtc, uint64_t now)
{
	uint8_t *c = &rtc->bytes[REGISTER_C];

	if (now <= rtc->looked)
		return;
	if (next_period(rtc, rtc->looked) <= now)
		*c |= B_PERIODIC;
	if (!(rtc->bytes[REGISTER_B] & B_SET)) {
		if (next_update(rtc->looked) <= now)
			*c |= B_UPDATE;
		if (!(*c & B_ALARM) && next_alarm(rtc, rtc->looked) <= now)
			*c |= B_ALARM;
	}
	rtc->looked = now;
}

bool rtc_line(struct rtc *rtc, uint64_t now)
{
	look(rtc, now);
	return rtc->bytes[REGISTER_C] & rtc->bytes[REGISTER_B] & C_SOURCES;
}

uint64_t rtc_next(const struct rtc *rtc)
{
	uint8_t b = rtc->bytes[REGISTER_B];
	/* While the line is high nothing more is to be said. */
	uint8_t waits = rtc->bytes[REGISTER_C] & b & C_SOURCES ? 0 : b;
	uint64_t next = UINT64_MAX, other;

	if (waits & B_PERIODIC)
		next = next_period(rtc, rtc->looked);
	if (b & B_SET)
		return next;
	other = waits & B_UPDATE ? next_update(rtc->looked) : UINT64_MAX;
	next = other < next ? other : next;
	other = waits & B_ALARM ? next_alarm(rtc, rtc->looked) : UINT64_MAX;
	return other < next ? other : next;
}

/* ---- registers ----------------------------------------------------------- */

static void put(struct rtc *rtc, uint8_t place, uint32_t bytes, uint64_t value)
{
	memcpy(&rtc->bytes[place], &value, bytes);
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

void rtc_reset(struct rtc *rtc, uint64_t memory_low, uint64_t memory_high,
	       uint32_t vcpu_count, uint64_t now)
{
	uint64_t above_1m = memory_low > MIB(1) ? memory_low - MIB(1) : 0;
	uint64_t above_16m = memory_low > MIB(16) ? memory_low - MIB(16) : 0;
	uint64_t extended = at_most(above_1m / KIB(1), 0xffff);

	*rtc = (struct rtc){ .looked = now };
	rtc->bytes[REGISTER_A] = 0x26; /* 32768 Hz, 1024 a second */
	rtc->bytes[REGISTER_B] = B_24_HOURS;
	rtc->bytes[REGISTER_D] = D_VALID;
	rtc->bytes[EQUIPMENT] = EQUIPMENT_FPU | EQUIPMENT_MOUSE;
	put(rtc, BASE_MEMORY, 2, BASE_KIB);
	put(rtc, EXTENDED_MEMORY, 2, extended);
	put(rtc, EXTENDED_MEMORY_TOO, 2, extended);
	put(rtc, MEMORY_ABOVE_16M, 2, at_most(above_16m / KIB(64), 0xffff));
	put(rtc, MEMORY_ABOVE_4G, 3, memory_high / KIB(64));
	put(rtc, MORE_CPUS, 1, vcpu_count - 1);
}

uint8_t rtc_read(struct rtc *rtc, uint16_t port, uint64_t now)
{
	uint8_t place = rtc->index, value;

	if (!(port & 1)) /* the index can only be written */
		return 0xff;
	if (is_date(place))
		return read_date(rtc, place, now);
	value = rtc->bytes[place];
	if (place == REGISTER_A && !(rtc->bytes[REGISTER_B] & B_SET) &&
	    SECOND - now % SECOND <= UPDATE_NS)
		value |= A_UPDATING;
	if (place == REGISTER_C) {
		value = rtc_line(rtc, now) ? C_INTERRUPT : 0;
		value |= rtc->bytes[REGISTER_C];
		rtc->bytes[REGISTER_C] = 0; /* reading ends them */
	}
	return value;
}

static void write_b(struct rtc *rtc, uint8_t value, uint64_t now)
{
	uint8_t old = rtc->bytes[REGISTER_B];
	struct rtc_date date = guest_date(rtc, now);

	rtc->bytes[REGISTER_B] = value;
	rtc->stopped = date;
	if (old & B_SET & ~value)
		rtc->ahead = seconds_of(&date) - (int64_t)(now / SECOND);
}

void rtc_write(struct rtc *rtc, uint16_t port, uint8_t value, uint64_t now)
{
	uint8_t place = rtc->index;

	if (!(port & 1)) { /* bit 7 would mask NMIs */
		rtc->index = value % RTC_BYTES;
		return;
	}
	look(rtc, now); /* what was up to here is by the old settings */
	if (is_date(place))
		write_date(rtc, place, value, now);
	else if (place == REGISTER_B)
		write_b(rtc, value, now);
	else if (place == REGISTER_A)
		rtc->bytes[place] = value & (A_DIVIDER | A_RATE);
	else if (place != REGISTER_C && place != REGISTER_D)
		rtc->bytes[place] = value;
}
