/* SPDX-License-Identifier: MIT */
/*
 * What is the same for all network cards: their numbers, and what becomes of
 * one that hangs.  An open card interrupts when packets have come; what it has
 * sent it does not tell.  It is looked at once a second besides, so that a lost
 * interrupt, its link and its end are noticed; and each 100 us, while something
 * waits for it.
 */
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/nic.h>
#include <string.h>

#define PACKETS_A_ROUND 16
#define CHECK_MS 1000
#define STUCK_MS 5000
#define POLL_MS 1     /* without interrupts */
#define WAITS_A_MS 10 /* while something waits for it */
#define MINUTE_MS 60000

static const struct nic_driver *const drivers[] = {
	&virtio_nic_driver,
	&e1000e_driver,
};

static struct nic nics[MULL_MACHINE_NIC_MAX];
static uint32_t nic_count;

struct nic *nic_at(uint32_t number)
{
	return number && number <= nic_count ? &nics[number - 1] : NULL;
}

/* ---- finding them ---------------------------------------------------------- */

static const char *look(struct nic *nic)
{
	for (size_t i = 0; i < ARRAY_COUNT(drivers); i++) {
		if (!drivers[i]->knows(nic->pci))
			continue;
		nic->driver = drivers[i];
		if (pci_claim(nic->pci, drivers[i]->kind) != ERR_NONE)
			return "it has another driver";
		return drivers[i]->look(nic);
	}
	return "there is no driver for it";
}

static void add(struct nic *nic, struct pci_device *pci)
{
	const uint8_t *mac = nic->mac;
	const char *words;

	*nic = (struct nic){ .pci = pci, .number = nic_count };
	words = look(nic);
	if (!words && mac_is_group(mac))
		words = "its address is that of a group";
	nic->dead = words;
	if (words)
		log_write("nic %u: %04x:%04x at PCI %s: %s", nic->number,
			  pci->vendor, pci->id, pci->name, words);
	else
		log_write("nic %u: %s at PCI %s, "
			  "%02x:%02x:%02x:%02x:%02x:%02x, link %s",
			  nic->number, nic->driver->kind, pci->name, mac[0],
			  mac[1], mac[2], mac[3], mac[4], mac[5],
			  nic->link ? "up" : "down");
}

void nics_start(void)
{
	struct pci_device *pci = NULL;

	nic_count = 0;
	while ((pci = pci_next(pci))) {
		if (pci->class >> 8 != PCI_CLASS_ETHERNET >> 8)
			continue;
		if (nic_count == MULL_MACHINE_NIC_MAX) {
			log_write("nic at PCI %s: it is one more than %u",
				  pci->name, MULL_MACHINE_NIC_MAX);
			continue;
		}
		nic_count++;
		add(&nics[nic_count - 1], pci);
	}
}

void nic_describe(struct nic *nic, struct mull_nic_status *status)
{
	if (!nic->dead && !nic->state)
		nic->driver->check(nic);
	*status = (struct mull_nic_status){
		.number = nic->number,
		.flags = (nic->link && !nic->dead ? MULL_NIC_LINK : 0) |
			 (nic->state ? MULL_NIC_OPEN : 0) |
			 (nic->dead ? MULL_NIC_DEAD : 0) |
			 (nic->state && !nic->connected ? MULL_NIC_POLLED : 0) |
			 (nic->mute ? MULL_NIC_MUTE : 0),
		.vendor = nic->pci->vendor,
		.device = nic->pci->id,
		.resets = nic->resets < UINT16_MAX ? (uint16_t)nic->resets :
						     UINT16_MAX,
		.link_changes = nic->link_changes,
		.sent = nic->sent,
		.sent_bytes = nic->sent_bytes,
		.received = nic->received,
		.received_bytes = nic->received_bytes,
		.malformed = nic->malformed,
	};
	if (nic->driver)
		format_text(status->kind, sizeof status->kind, "%s",
			    nic->driver->kind);
	memcpy(status->pci, nic->pci->name, sizeof status->pci);
	memcpy(status->mac, nic->mac, MAC_SIZE);
}

/* ---- one that is open ------------------------------------------------------ */

const char *nic_open(struct nic *nic,
		     void (*receive)(struct nic *nic, const uint8_t *bytes,
				     uint32_t length))
{
	const char *words;

	if (nic->dead)
		return "it cannot be used";
	nic->receive = receive;
	nic->since = nic->next_check = arch_time();
	words = nic->driver->open(nic);
	if (words)
		nic_give_up(nic, words);
	return words;
}

void nic_received(struct nic *nic, const uint8_t *bytes, uint32_t length)
{
	nic->received++;
	nic->received_bytes += length;
	if (length < PACKET_START || length > PACKET_PLAIN_MAX) {
		nic->malformed++;
		return;
	}
	nic->failures = 0;
	nic->receive(nic, bytes, length);
}

/* ---- what a card may do without end -------------------------------------- */

/* The minute is over: what was dropped of it is told. */
static void end_minute(struct nic *nic)
{
	if (!arch_time_is_over(nic->told_since + arch_time_ms(MINUTE_MS)))
		return;
	if (nic->untold)
		log_write(LOG_WARNING "nic %u: %u lines dropped", nic->number,
			  nic->untold);
	nic->told = nic->untold = 0;
	nic->told_since = arch_time();
}

/* Whether there may be one more line about it. */
static bool may_tell(struct nic *nic)
{
	end_minute(nic);
	if (nic->told < NIC_LINES_A_MINUTE) {
		nic->told++;
		return true;
	}
	nic->untold++;
	return false;
}

void nic_reset(struct nic *nic, const char *why)
{
	if (may_tell(nic))
		log_write(LOG_WARNING "nic %u: %s; it is reset", nic->number,
			  why);
	nic->ready = nic->mute = false;
	nic->resets++;
	/* What it had not sent is lost, which is no success. */
	nic->waiting = 0;
	nic->done_before = nic->sent;
	nic->since = arch_time();
	if (++nic->failures > NIC_FAILURES_MAX) {
		nic_give_up(nic, "it fails again and again");
		return;
	}
	nic->driver->reset(nic);
}

void nic_give_up(struct nic *nic, const char *why)
{
	pci_stop(nic->pci);
	nic->ready = false;
	nic->dead = true;
	log_write(LOG_ERROR "nic %u: %s; it is given up", nic->number, why);
}

void nic_set_link(struct nic *nic, bool link)
{
	if (nic->link != link && nic->state) {
		nic->link_changes++;
		nic->mute = false; /* perhaps it was that */
		if (may_tell(nic))
			log_write("nic %u: its link is %s", nic->number,
				  link ? "up" : "down");
	}
	nic->link = link;
}

void nic_interrupt(void *context)
{
	struct nic *nic = context;

	nic->fired = nic->interrupts = nic->connected = true;
}

/* What it has to send must go out, while there is a link. */
static bool is_stuck(struct nic *nic)
{
	uint64_t done = nic->sent - nic->waiting;

	if (done != nic->done_before) {
		nic->failures = nic->stuck = 0;
		nic->mute = false;
	}
	if (done != nic->done_before || !nic->waiting || !nic->link)
		nic->since = arch_time();
	nic->done_before = done;
	return !nic->mute &&
	       arch_time_is_over(nic->since + arch_time_ms(STUCK_MS));
}

/*
 * It hangs.  One that still receives is left in peace when resets did not help:
 * each of them would lose what comes meanwhile.  What it was given stays with
 * it: when it is sent after all, or the link comes again, so does the card.
 * Words: it must be reset.
 */
static const char *on_stuck(struct nic *nic)
{
	if (nic->stuck < NIC_FAILURES_MAX) {
		nic->stuck++;
		return "it sends nothing any more";
	}
	if (nic->failures == NIC_FAILURES_MAX)
		return "it neither sends nor receives";
	nic->mute = true;
	if (may_tell(nic))
		log_write(LOG_WARNING "nic %u: it sends nothing, which a reset "
				      "does not mend; it only receives",
			  nic->number);
	return NULL;
}

/* It is the time for it; @count packets were found. */
static void check(struct nic *nic, uint32_t count)
{
	const char *words = nic->driver->check(nic);

	nic->next_check = arch_time() + arch_time_ms(CHECK_MS);
	end_minute(nic);
	if (!words && is_stuck(nic))
		words = on_stuck(nic);
	if (words)
		nic_reset(nic, words);
	else if (count && nic->connected && !nic->interrupts) {
		log_write(LOG_WARNING "nic %u: no interrupt came, it is polled",
			  nic->number);
		nic->connected = false;
	}
}

bool nic_poll(struct nic *nic)
{
	uint32_t count;

	if (nic->dead)
		return false;
	count = nic->driver->poll(nic, PACKETS_A_ROUND);
	if (nic->ready && arch_time_is_over(nic->next_check))
		check(nic, count);
	return count == PACKETS_A_ROUND;
}

uint64_t nic_deadline(const struct nic *nic, bool full)
{
	if (nic->dead)
		return ARCH_NO_DEADLINE;
	if (!nic->ready || full)
		return arch_time() + arch_time_ms(1) / WAITS_A_MS;
	if (!nic->connected)
		return arch_time() + arch_time_ms(POLL_MS);
	return nic->next_check;
}
