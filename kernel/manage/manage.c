/* SPDX-License-Identifier: MIT */
/*
 * The service's round.  It sleeps between rounds, so each way to new work must
 * wake it: the UART's interrupt, manage_notify(), or polling while only time
 * has to pass (manage_needs_polling()).
 */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/attach.h>
#include <mullion/bits.h>
#include <mullion/manage.h>
#include <mullion/shared_memory.h>

/* A round is short, since the service CPU may have guests too. */
#define SEND_A_ROUND 512  /* bytes */
#define DRAW_A_ROUND 4	  /* lines */
#define EARLY_PIECES 4096 /* more than the log can hold */

static const struct carrier {
	size_t (*next)(enum manage_line line, uint8_t *wire);
	bool (*has_room)(enum manage_line line);
	void (*receive)(enum manage_line line, const uint8_t *bytes,
			size_t length);
} carriers[] = {
	[MULL_SERIAL_NONE] = { 0 },
	[MULL_SERIAL_TEXT] = { text_next, text_has_room, text_receive },
	[MULL_SERIAL_CHANNEL] = { channel_next, channel_has_room,
				  channel_receive },
};

static const struct carrier *carrier;
static struct uart16550 *uart; /* NULL: nobody listens */

/* The piece that is being sent. */
static uint8_t wire[FRAME_WIRE_MAX];
static size_t wire_length, wire_sent;

static _Atomic bool serving; /* the loop runs */
static uint32_t service_cpu;
static _Atomic bool notified; /* and not yet looked at */

static _Atomic bool interrupted;     /* by the UART */
static _Atomic bool interrupts_work; /* one has come: they can be relied on */
static bool wants_receive, wants_transmit; /* as the UART was told */

static enum mull_machine_end ending;	      /* 0: it goes on */
static _Atomic enum mull_machine_end end_now; /* the same, when all is told */

/* ---- before the loop runs ------------------------------------------------ */

static atomic_flag sending_early = ATOMIC_FLAG_INIT;

/* Sends what there is at once, by waiting; but a line that does not move is not
 * waited for again: the loop sends the rest. */
static void send_early(void)
{
	/* Who is here already also sends the newer lines. */
	if (!uart || atomic_flag_test_and_set(&sending_early))
		return;
	for (uint32_t i = 0; i < EARLY_PIECES && wire_sent == wire_length;
	     i++) {
		wire_sent = 0;
		wire_length = carrier->next(LINE_SERIAL, wire);
		if (!wire_length)
			break;
		wire_sent = uart_send_waiting(uart, wire, wire_length);
	}
	atomic_flag_clear(&sending_early);
}

static void on_log_line(void)
{
	if (serving) {
		manage_notify();
		return;
	}
	log_draw(UINT32_MAX);
	send_early();
}

/* Interrupts of COM1 to COM4 on a PC. */
static uint32_t isa_line(uint16_t port)
{
	switch (port) {
	case 0x3f8:
	case 0x3e8:
		return 4;
	case 0x2f8:
	case 0x2e8:
		return 3;
	}
	return 0; /* the timer's: no UART has it */
}

static void on_interrupt(void)
{
	interrupted = true;
	interrupts_work = true;
}

static void connect_interrupt(void)
{
	uint32_t number = isa_line(uart->port);
	enum error error = number ? arch_connect_interrupt(number,
							   on_interrupt) :
				    ERR_NOT_FOUND;

	if (error)
		log_write("serial line: no interrupt, it is polled: %s",
			  error_text(error));
}

void manage_start(const struct mull_machine *machine)
{
	static const char *const modes[] = { "none", "text", "channel" };
	uint32_t mode = machine->serial_mode;

	ASSERT(mode < ARRAY_COUNT(carriers)); /* the checker let it pass */
	uart = line_start(machine);
	carrier = &carriers[mode];
	log_on_line(on_log_line);
	consoles_attach_new(LINE_SERIAL, uart);
	network_start(machine);
	if (!uart)
		return;
	log_write("serial line at port 0x%x carries %s", uart->port,
		  modes[mode]);
	connect_interrupt();
}

void manage_add_vm(struct vm *vm)
{
	console_add(vm);
}

/* ---- the loop ------------------------------------------------------------ */

/* Lossless: a notice that finds the flag set was given before the round that
 * clears it, and that looks at everything afterwards. */
void manage_notify(void)
{
	if (serving && !atomic_exchange(&notified, true))
		arch_kick(service_cpu);
}

/* What is left, or comes later, interrupts: see want_interrupts(). */
static void receive(void)
{
	uint8_t bytes[LINE_RECEIVE_MAX];

	if (carrier->has_room(LINE_SERIAL))
		carrier->receive(LINE_SERIAL, bytes,
				 uart_receive(uart, bytes, sizeof bytes));
}

/* Whether the round ended before the UART was full. */
static bool transmit(void)
{
	size_t budget = SEND_A_ROUND;

	while (budget) {
		size_t count;

		if (wire_sent == wire_length) {
			wire_sent = 0;
			wire_length = carrier->next(LINE_SERIAL, wire);
			if (!wire_length)
				return false;
		}
		count = wire_length - wire_sent;
		if (count > budget)
			count = budget;
		count = uart_send(uart, wire + wire_sent, count);
		if (!count)
			return false;
		wire_sent += count;
		budget -= count;
		/* A UART that sends at once must not let what comes overrun. */
		receive();
	}
	return true;
}

/*
 * After an interrupt the UART is asked again, since bytes that came during the
 * round make no new edge.  They are not waited for while they could not be
 * taken, or they would interrupt without end.
 */
static void want_interrupts(bool was_interrupted)
{
	bool for_receive = carrier->has_room(LINE_SERIAL);
	bool for_transmit = wire_sent < wire_length || !interrupts_work;

	if (was_interrupted || !interrupts_work ||
	    for_receive != wants_receive || for_transmit != wants_transmit)
		uart_interrupts(uart, for_receive, for_transmit);
	wants_receive = for_receive;
	wants_transmit = for_transmit;
}

static void begin_serving(void)
{
	/* For good: what another CPU still sends goes first. */
	while (atomic_flag_test_and_set(&sending_early))
		arch_pause();
	service_cpu = arch_cpu_index();
	channel_greet(LINE_SERIAL);
	serving = true;
	network_serve();
}

void manage_end_machine(enum mull_machine_end end)
{
	ending = end;
}

bool manage_ends(void)
{
	return ending;
}

void manage_end(void)
{
	if (!end_now || arch_cpu_index() != 0)
		return;
	arch_end_machine(end_now);
	log_write("the firmware does not switch it off; its button does");
	log_emergency();
	arch_halt();
}

static bool serial_is_told(void)
{
	return !uart || (!wire_length && !consoles_print(LINE_SERIAL));
}

static void end_when_told(void)
{
	if (!ending || end_now || !serial_is_told() || !network_is_told())
		return;
	if (uart)
		uart_send_waiting(uart, "", 1); /* behind all the others */
	end_now = ending;
	arch_kick(0);
}

bool manage_poll(void)
{
	bool was_interrupted, more;

	if (!serving)
		begin_serving();
	notified = false;
	was_interrupted = atomic_exchange(&interrupted, false);
	more = log_draw(DRAW_A_ROUND);
	more |= audit_step();
	more |= shared_memory_clean();
	attach_settle();
	if (uart)
		receive();
	more |= network_poll();
	consoles_offer_input();
	if (uart)
		more |= transmit();
	more |= upload_work();
	if (uart)
		want_interrupts(was_interrupted);
	end_when_told();
	return more;
}

bool manage_needs_polling(void)
{
	bool idle = wire_sent == wire_length;

	if (network_needs_polling() || consoles_type() || request_is_pending())
		return true;
	return uart &&
	       (!interrupts_work || (idle && (consoles_print(LINE_SERIAL) ||
					      log_waits(LOG_SERIAL))));
}
