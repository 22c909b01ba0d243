/* SPDX-License-Identifier: MIT */
/*
 * Intel's 82574 network card, which QEMU has as "e1000e".  Intel 82574 GbE
 * Controller Family Datasheet, "Driver Programming Interface"; descriptors in
 * their legacy form, one buffer for each packet, and one MSI-X entry.
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/log.h>
#include <mullion/nic.h>
#include <mullion/page.h>
#include <string.h>

#define INTEL 0x8086
#define ID_82574L 0x10d3
#define ID_82574LA 0x10f6
#define REGISTERS 0x20000 /* bytes of BAR 0 */

#define RECEIVE_BUFFERS 128
#define SEND_BUFFERS 64 /* one of them is never in use */
#define BUFFER_PAGES(count) ((count)*NIC_BUFFER_SIZE / PAGE_SIZE)
#define MASTER_TIMEOUT_MS 100
#define RESET_MS 2 /* it is not touched so long */
#define RESET_TIMEOUT_MS 1000

/* "Register Summary" */
#define CTRL 0x0000
#define CTRL_MASTER_DISABLE BIT(2)
#define CTRL_AUTO_SPEED BIT(5)
#define CTRL_SET_LINK_UP BIT(6)
#define CTRL_FORCE BITS(12, 11) /* speed and duplex are not negotiated */
#define CTRL_RESET BIT(26)
#define STATUS 0x0008
#define STATUS_LINK_UP BIT(1)
#define STATUS_MASTER_ENABLE BIT(19)
#define EECD 0x0010
#define EECD_AUTO_READ BIT(9) /* the NVM has been read after a reset */
#define ICR 0x00c0
#define IMS 0x00d0
#define IMC 0x00d8
#define CAUSE_LINK BIT(2)
#define CAUSE_RECEIVE BIT(20) /* of queue 0, by MSI-X */
#define CAUSE_OTHER BIT(24)
#define IVAR 0x00e4
#define IVAR_RECEIVE BIT(3) /* entry 0, valid */
#define IVAR_OTHER BIT(19)
#define EITR 0x00e8 /* of entry 0: 256 ns between two interrupts */
#define EITR_50_US 196
#define RCTL 0x0100
#define RCTL_ENABLE BIT(1)
#define RCTL_ALL (BIT(3) | BIT(4)) /* of other addresses, and of groups */
#define RCTL_BROADCAST BIT(15)
#define RCTL_NO_CRC BIT(26) /* is stored; buffers are of 2048 bytes */
#define TCTL 0x0400
#define TCTL_ENABLE BIT(1)
#define TCTL_PAD BIT(3) /* short packets */
#define TCTL_COLLISIONS (0x0ful << 4 | 0x3ful << 12)
#define RXCSUM 0x5000
#define RFCTL 0x5008 /* 0: descriptors are legacy ones */
#define RAL 0x5400
#define RAH 0x5404
#define RAH_VALID BIT(31)
#define TXDCTL 0x3828
/* Written back one by one; bit 22 must be set. */
#define TXDCTL_VALUE (BIT(24) | BIT(22) | BIT(16))

/* Of a queue's descriptors, from RECEIVE_QUEUE or SEND_QUEUE. */
#define RECEIVE_QUEUE 0x2800
#define SEND_QUEUE 0x3800
#define QUEUE_LOW 0x00
#define QUEUE_HIGH 0x04
#define QUEUE_LENGTH 0x08
#define QUEUE_HEAD 0x10
#define QUEUE_TAIL 0x18

/* "Legacy Receive Descriptor Format", "Legacy Transmit Descriptor Format" */
struct receive_descriptor {
	uint64_t at;
	uint16_t length, checksum;
	uint8_t status, errors;
	uint16_t special;
};
#define RECEIVE_DONE BIT(0)
#define RECEIVE_END BIT(1)    /* of a packet */
#define RECEIVE_ERRORS 0x97ul /* but for IP's and TCP's checksums */

struct send_descriptor {
	uint64_t at;
	uint16_t length;
	uint8_t checksum_offset, command, status, checksum_start;
	uint16_t special;
};
#define SEND_END BIT(0)	   /* of a packet */
#define SEND_CRC BIT(1)	   /* is added */
#define SEND_REPORT BIT(3) /* when it is done */
#define SEND_DONE BIT(0)
_Static_assert(sizeof(struct receive_descriptor) == 16, "82574");
_Static_assert(sizeof(struct send_descriptor) == 16, "82574");

/* A page that the card sees. */
struct descriptors {
	struct receive_descriptor receive[RECEIVE_BUFFERS];
	struct send_descriptor send[SEND_BUFFERS];
};
_Static_assert(sizeof(struct descriptors) <= PAGE_SIZE, "one page");

enum stage { WORKS, STOPPING, RESETTING };

struct card {
	struct nic *nic;
	struct descriptors *descriptors;
	uint8_t *receive_buffers, *send_buffers;
	enum stage stage;
	uint64_t since; /* of the stage */
	uint32_t next_receive;
	uint32_t next_send, next_sent;
	bool broken; /* what comes belongs to a packet that is too long */
};

static bool knows(const struct pci_device *pci)
{
	return pci->vendor == INTEL &&
	       (pci->id == ID_82574L || pci->id == ID_82574LA);
}

static uint32_t get(const struct nic *nic, uint32_t offset)
{
	return (uint32_t)arch_mmio_read(hpa(nic->registers.value + offset), 4);
}

static void put(const struct nic *nic, uint32_t offset, uint64_t value)
{
	arch_mmio_write(hpa(nic->registers.value + offset), 4, value);
}

/* ---- reset ----------------------------------------------------------------- */

static bool lasts(const struct card *card, uint64_t milliseconds)
{
	return arch_time() - card->since >= arch_time_ms(milliseconds);
}

static void enter(struct card *card, enum stage stage)
{
	card->stage = stage;
	card->since = arch_time();
}

/* "Software Reset": first it finishes what it does with memory. */
static void begin_reset(struct card *card)
{
	const struct nic *nic = card->nic;

	put(nic, IMC, UINT32_MAX);
	put(nic, RCTL, 0);
	put(nic, TCTL, 0);
	put(nic, CTRL, get(nic, CTRL) | CTRL_MASTER_DISABLE);
	enter(card, STOPPING);
}

/* ERR_BUSY: not yet; ERR_TIMEOUT: never. */
static enum error go_on_with_reset(struct card *card)
{
	const struct nic *nic = card->nic;

	if (card->stage == STOPPING) {
		if (get(nic, STATUS) & STATUS_MASTER_ENABLE &&
		    !lasts(card, MASTER_TIMEOUT_MS))
			return ERR_BUSY;
		put(nic, CTRL, get(nic, CTRL) | CTRL_RESET);
		enter(card, RESETTING);
		return ERR_BUSY;
	}
	if (!lasts(card, RESET_MS))
		return ERR_BUSY;
	if (!(get(nic, CTRL) & CTRL_RESET) && get(nic, EECD) & EECD_AUTO_READ) {
		put(nic, IMC, UINT32_MAX);
		get(nic, ICR);
		return ERR_NONE;
	}
	return lasts(card, RESET_TIMEOUT_MS) ? ERR_TIMEOUT : ERR_BUSY;
}

static bool wait_for_reset(struct card *card)
{
	enum error error;

	begin_reset(card);
	do {
		arch_pause();
		error = go_on_with_reset(card);
	} while (error == ERR_BUSY);
	return error == ERR_NONE;
}

/* Speed and duplex are found out by the two ends. */
static void set_link_up(const struct nic *nic)
{
	put(nic, CTRL,
	    (get(nic, CTRL) & ~(CTRL_FORCE | CTRL_MASTER_DISABLE)) |
		    CTRL_AUTO_SPEED | CTRL_SET_LINK_UP);
}

static const char *look(struct nic *nic)
{
	struct card card = { .nic = nic };
	struct pci_bar bar;
	uint32_t low, high;

	if (pci_map_bar(nic->pci, 0, &bar) != ERR_NONE || bar.size < REGISTERS)
		return "its registers are in no right place";
	nic->registers = bar.at;
	if (!wait_for_reset(&card))
		return "it cannot be reset";
	low = get(nic, RAL);
	high = get(nic, RAH);
	if (!(high & RAH_VALID))
		return "it has no address";
	memcpy(nic->mac, &low, 4);
	memcpy(nic->mac + 4, &high, 2);
	set_link_up(nic);
	nic->link = get(nic, STATUS) & STATUS_LINK_UP;
	return NULL;
}

/* ---- from a reset card to one that works ----------------------------------- */

/* It has written over what it was given. */
static void offer(struct card *card, uint32_t index)
{
	uint8_t *buffer = card->receive_buffers + index * NIC_BUFFER_SIZE;

	card->descriptors->receive[index] = (struct receive_descriptor){
		.at = arch_physical(buffer).value
	};
}

static void set_queue(const struct nic *nic, uint32_t queue, void *first,
		      uint32_t size)
{
	uint64_t at = arch_physical(first).value;

	put(nic, queue + QUEUE_LOW, (uint32_t)at);
	put(nic, queue + QUEUE_HIGH, at >> 32);
	put(nic, queue + QUEUE_LENGTH, size);
	put(nic, queue + QUEUE_HEAD, 0);
	put(nic, queue + QUEUE_TAIL, 0);
}

static void bring_up(struct card *card)
{
	struct nic *nic = card->nic;
	struct descriptors *descriptors = card->descriptors;

	memset(descriptors, 0, sizeof *descriptors);
	for (uint32_t i = 0; i < RECEIVE_BUFFERS; i++)
		offer(card, i);
	card->next_receive = card->next_send = card->next_sent = 0;
	card->broken = false;
	card->stage = WORKS;
	set_link_up(nic);
	put(nic, RFCTL, 0);
	put(nic, RXCSUM, 0);
	set_queue(nic, RECEIVE_QUEUE, descriptors->receive,
		  sizeof descriptors->receive);
	set_queue(nic, SEND_QUEUE, descriptors->send, sizeof descriptors->send);
	put(nic, TXDCTL, TXDCTL_VALUE);
	put(nic, TCTL, TCTL_ENABLE | TCTL_PAD | TCTL_COLLISIONS);
	put(nic, RCTL, RCTL_ENABLE | RCTL_ALL | RCTL_BROADCAST | RCTL_NO_CRC);
	put(nic, RECEIVE_QUEUE + QUEUE_TAIL, RECEIVE_BUFFERS - 1);
	if (nic->connected) {
		put(nic, IVAR, IVAR_RECEIVE | IVAR_OTHER);
		put(nic, EITR, EITR_50_US);
		put(nic, IMS, CAUSE_RECEIVE | CAUSE_LINK | CAUSE_OTHER);
	}
	nic->waiting = 0;
	nic->ready = true;
}

static const char *open(struct nic *nic)
{
	struct card *card = page_alloc(1);
	enum error error;

	if (!card)
		return "no memory for its queues";
	nic->state = card;
	card->nic = nic;
	card->descriptors = page_alloc(1);
	card->receive_buffers = page_alloc(BUFFER_PAGES(RECEIVE_BUFFERS));
	card->send_buffers = page_alloc(BUFFER_PAGES(SEND_BUFFERS));
	if (!card->descriptors || !card->receive_buffers || !card->send_buffers)
		return "no memory for its packets";
	error = pci_interrupt(nic->pci, 0, nic_interrupt, nic);
	nic->connected = !error;
	if (error)
		log_write("nic %u: no interrupt, it is polled: %s", nic->number,
			  error_text(error));
	pci_start(nic->pci); /* look() has reset it */
	bring_up(card);
	return NULL;
}

static void reset(struct nic *nic)
{
	begin_reset(nic->state);
}

static void go_on(struct card *card)
{
	enum error error = go_on_with_reset(card);

	if (!error)
		bring_up(card);
	else if (error != ERR_BUSY)
		nic_give_up(card->nic, "it cannot be reset");
}

/* ---- packets --------------------------------------------------------------- */

static void take_sent(struct card *card)
{
	while (card->next_sent != card->next_send) {
		const struct send_descriptor *descriptor =
			&card->descriptors->send[card->next_sent];

		if (!(__atomic_load_n(&descriptor->status, __ATOMIC_ACQUIRE) &
		      SEND_DONE))
			break;
		card->next_sent = (card->next_sent + 1) % SEND_BUFFERS;
		card->nic->waiting--;
	}
}

static bool send(struct nic *nic, const struct packet *packet)
{
	struct card *card = nic->state;
	uint32_t index = card->next_send;
	uint32_t next = (index + 1) % SEND_BUFFERS;
	uint8_t *buffer = card->send_buffers + index * NIC_BUFFER_SIZE;

	if (next == card->next_sent)
		return false;
	memcpy(buffer, packet->bytes, packet->length);
	card->descriptors->send[index] = (struct send_descriptor){
		.at = arch_physical(buffer).value,
		.length = (uint16_t)packet->length,
		.command = SEND_END | SEND_CRC | SEND_REPORT,
	};
	card->next_send = next;
	nic->waiting++;
	return true;
}

static void flush(struct nic *nic)
{
	const struct card *card = nic->state;

	put(nic, SEND_QUEUE + QUEUE_TAIL, card->next_send);
}

/* Whole and without errors; else the rest of it is not wanted either. */
static uint32_t good_length(struct card *card,
			    const struct receive_descriptor *descriptor,
			    uint8_t status)
{
	uint16_t length = __atomic_load_n(&descriptor->length,
					  __ATOMIC_RELAXED);
	uint8_t errors = __atomic_load_n(&descriptor->errors, __ATOMIC_RELAXED);
	bool good = !card->broken && status & RECEIVE_END &&
		    !(errors & RECEIVE_ERRORS) && length <= NIC_BUFFER_SIZE;

	card->broken = !(status & RECEIVE_END);
	return good ? length : 0;
}

static uint32_t receive(struct card *card, uint32_t room)
{
	uint32_t count = 0;

	while (count < room) {
		uint32_t index = card->next_receive;
		const struct receive_descriptor *descriptor =
			&card->descriptors->receive[index];
		uint8_t status = __atomic_load_n(&descriptor->status,
						 __ATOMIC_ACQUIRE);

		if (!(status & RECEIVE_DONE))
			break;
		nic_received(card->nic,
			     card->receive_buffers + index * NIC_BUFFER_SIZE,
			     good_length(card, descriptor, status));
		offer(card, index);
		card->next_receive = (index + 1) % RECEIVE_BUFFERS;
		count++;
	}
	if (count) /* all but one are the card's */
		put(card->nic, RECEIVE_QUEUE + QUEUE_TAIL,
		    (card->next_receive + RECEIVE_BUFFERS - 1) %
			    RECEIVE_BUFFERS);
	return count;
}

/* A cause interrupts again when it was taken away. */
static void take_causes(struct nic *nic)
{
	uint32_t causes = get(nic, ICR);

	nic->fired = false;
	put(nic, ICR, causes);
	if (causes & CAUSE_LINK)
		nic_set_link(nic, get(nic, STATUS) & STATUS_LINK_UP);
}

static uint32_t poll(struct nic *nic, uint32_t count)
{
	struct card *card = nic->state;

	if (card->stage != WORKS) {
		go_on(card);
		return 0;
	}
	if (nic->fired)
		take_causes(nic);
	take_sent(card);
	return receive(card, count);
}

/* Of a card that is gone, all bits are set; so is none that is always 0. */
static const char *check(struct nic *nic)
{
	uint32_t status = get(nic, STATUS);

	if (status == UINT32_MAX) {
		nic_set_link(nic, false);
		return "it does not answer";
	}
	if (nic->state)
		take_causes(nic);
	nic_set_link(nic, status & STATUS_LINK_UP);
	return NULL;
}

const struct nic_driver e1000e_driver = {
	.kind = "82574L",
	.knows = knows,
	.look = look,
	.open = open,
	.send = send,
	.flush = flush,
	.poll = poll,
	.check = check,
	.reset = reset,
};
