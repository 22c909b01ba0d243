/* SPDX-License-Identifier: MIT */
/* Virtio network cards of the machine (an emulator's, or another
 * hypervisor's).  Virtual I/O Device (VIRTIO) 1.2, "Network Device". */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/log.h>
#include <mullion/nic.h>
#include <mullion/page.h>
#include <mullion/virtio_pci.h>
#include <string.h>

#define VIRTIO_ID_NET 1
#define RESET_TIMEOUT_MS 1000
#define SEND_BUFFERS 64
#define BUFFER_PAGES(count) ((count)*NIC_BUFFER_SIZE / PAGE_SIZE)

enum { RECEIVE, TRANSMIT, CONTROL, QUEUES };

/* "Feature bits" */
#define FEATURE_MAC BIT(5)
#define FEATURE_STATUS BIT(16)
#define FEATURE_CTRL_VQ BIT(17)
#define FEATURE_CTRL_RX BIT(18)
/* "Device configuration layout" */
#define CONFIG_MAC 0
#define CONFIG_STATUS 6
#define STATUS_LINK_UP BIT(0)

/* "Packet Receive Filtering": take all that comes. */
#define CTRL_RX 0
#define CTRL_RX_PROMISC 0
#define CTRL_OK 0
#define CTRL_NO_ANSWER 0xff

struct order {
	uint8_t class, command, on;
	volatile uint8_t answer;
};

struct card {
	struct nic *nic;
	struct virtio_pci pci;
	struct virtio_ring rings[QUEUES];
	uint8_t *receive_buffers; /* one for each descriptor */
	uint8_t *send_buffers;
	struct order *order;
	bool resetting, ordered;
	uint16_t entry;	   /* of MSI-X */
	uint64_t deadline; /* of the reset, arch_time() */
	uint8_t free[SEND_BUFFERS];
	uint32_t free_count;
};

static bool knows(const struct pci_device *pci)
{
	return pci->vendor == VIRTIO_PCI_VENDOR &&
	       (pci->id == VIRTIO_PCI_MODERN + VIRTIO_ID_NET ||
		pci->id == VIRTIO_PCI_OLD_NET);
}

static bool wait_for_reset(struct virtio_pci *pci)
{
	uint64_t end = arch_time() + arch_time_ms(RESET_TIMEOUT_MS);

	virtio_pci_reset(pci);
	while (!virtio_pci_is_reset(pci)) {
		if (arch_time_is_over(end))
			return false;
		arch_pause();
	}
	return true;
}

static bool link_of(const struct virtio_pci *pci)
{
	return !(pci->features & FEATURE_STATUS) ||
	       virtio_pci_config(pci, CONFIG_STATUS, 2) & STATUS_LINK_UP;
}

static const char *negotiate(struct virtio_pci *pci)
{
	const uint64_t wanted = FEATURE_MAC | FEATURE_STATUS | FEATURE_CTRL_VQ |
				FEATURE_CTRL_RX;

	if (virtio_pci_negotiate(pci, wanted) != ERR_NONE)
		return "no agreement on features";
	return pci->features & FEATURE_MAC ? NULL : "it has no address";
}

static const char *look(struct nic *nic)
{
	struct virtio_pci pci;
	const char *words;

	if (virtio_pci_open(&pci, nic->pci) != ERR_NONE)
		return "it has no modern interface";
	if (!wait_for_reset(&pci))
		return "it cannot be reset";
	words = negotiate(&pci);
	if (words)
		return words;
	for (uint32_t i = 0; i < MAC_SIZE; i++)
		nic->mac[i] = (uint8_t)virtio_pci_config(&pci, CONFIG_MAC + i,
							 1);
	nic->link = link_of(&pci);
	if (pci.features & FEATURE_STATUS && pci.config.size >= 8)
		nic->registers = hpa(pci.config.at.value + CONFIG_STATUS);
	return NULL;
}

/* ---- from a reset card to one that works ----------------------------------- */

static void offer(struct card *card, uint32_t index)
{
	uint8_t *buffer = card->receive_buffers + index * NIC_BUFFER_SIZE;
	const struct virtio_piece piece = { arch_physical(buffer),
					    NIC_BUFFER_SIZE, true };

	virtio_ring_add(&card->rings[RECEIVE], &piece, 1, index);
}

/* Has it take what is for others, too; it does anyway where it cannot be told
 * what to take. */
static void order_all(struct card *card)
{
	struct order *order = card->order;
	const uint64_t both = FEATURE_CTRL_VQ | FEATURE_CTRL_RX;
	const struct virtio_piece pieces[] = {
		{ arch_physical(order), 2, false },
		{ arch_physical(&order->on), 1, false },
		{ arch_physical((void *)&order->answer), 1, true },
	};

	card->ordered = (card->pci.features & both) == both;
	if (!card->ordered)
		return;
	*order = (struct order){ CTRL_RX, CTRL_RX_PROMISC, 1, CTRL_NO_ANSWER };
	virtio_ring_add(&card->rings[CONTROL], pieces, ARRAY_COUNT(pieces), 0);
	virtio_pci_notify(&card->pci, CONTROL);
}

static const char *set_queue(struct card *card, uint16_t queue)
{
	struct virtio_ring *ring = &card->rings[queue];
	uint16_t size = virtio_pci_queue_size(&card->pci, queue);
	uint16_t entry = queue == RECEIVE ? card->entry : VIRTIO_PCI_NO_ENTRY;

	if (size < 4 || (ring->areas && size < ring->size))
		return "its queues are too short";
	if (ring->areas)
		virtio_ring_reset(ring);
	else if (virtio_ring_make(ring, size) != ERR_NONE)
		return "no memory for its queues";
	if (virtio_pci_set_queue(&card->pci, queue, ring, entry) != ERR_NONE) {
		log_write("nic %u: it gives no interrupt, it is polled",
			  card->nic->number);
		card->nic->connected = false;
	}
	return NULL;
}

static const char *bring_up(struct card *card)
{
	struct nic *nic = card->nic;
	const char *words = negotiate(&card->pci);
	bool control = card->pci.features & FEATURE_CTRL_VQ;

	for (uint16_t i = 0; i < QUEUES && !words; i++)
		if (i != CONTROL || control)
			words = set_queue(card, i);
	if (words)
		return words;
	virtio_pci_go(&card->pci);
	for (uint32_t i = 0; i < card->rings[RECEIVE].size; i++)
		offer(card, i);
	virtio_pci_notify(&card->pci, RECEIVE);
	order_all(card);
	card->free_count = 0;
	while (card->free_count < SEND_BUFFERS &&
	       card->free_count < card->rings[TRANSMIT].size) {
		card->free[card->free_count] = (uint8_t)card->free_count;
		card->free_count++;
	}
	nic->waiting = 0;
	card->resetting = false;
	nic->ready = true;
	nic_set_link(nic, link_of(&card->pci));
	return NULL;
}

static const char *open(struct nic *nic)
{
	struct card *card = page_alloc(pages_for(sizeof *card));
	enum error error;

	if (!card)
		return "no memory for its queues";
	nic->state = card;
	card->nic = nic;
	card->receive_buffers = page_alloc(BUFFER_PAGES(VIRTIO_RING_MAX));
	card->send_buffers = page_alloc(BUFFER_PAGES(SEND_BUFFERS));
	card->order = page_alloc(1);
	if (!card->receive_buffers || !card->send_buffers || !card->order)
		return "no memory for its packets";
	if (virtio_pci_open(&card->pci, nic->pci) != ERR_NONE)
		return "it has no modern interface";
	if (!wait_for_reset(&card->pci))
		return "it cannot be reset";
	pci_start(nic->pci);
	error = pci_interrupt(nic->pci, 0, nic_interrupt, nic);
	nic->connected = !error;
	card->entry = error ? VIRTIO_PCI_NO_ENTRY : 0;
	if (error)
		log_write("nic %u: no interrupt, it is polled: %s", nic->number,
			  error_text(error));
	return bring_up(card);
}

static void reset(struct nic *nic)
{
	struct card *card = nic->state;

	card->resetting = true;
	card->deadline = arch_time() + arch_time_ms(RESET_TIMEOUT_MS);
	virtio_pci_reset(&card->pci);
}

static void go_on(struct card *card)
{
	const char *words = NULL;

	if (virtio_pci_is_reset(&card->pci))
		words = bring_up(card);
	else if (arch_time_is_over(card->deadline))
		words = "it cannot be reset";
	if (words)
		nic_give_up(card->nic, words);
}

/* ---- packets --------------------------------------------------------------- */

/* Buffers that it has sent; false: it is reset. */
static bool take_sent(struct card *card)
{
	struct virtio_ring *ring = &card->rings[TRANSMIT];
	uint32_t index, length;
	enum error error = ERR_NONE;

	for (uint32_t i = 0; i < SEND_BUFFERS && !error; i++) {
		error = virtio_ring_take(ring, &index, &length);
		if (!error) {
			card->free[card->free_count++] = (uint8_t)index;
			card->nic->waiting--;
		}
	}
	if (error == ERR_DEVICE)
		nic_reset(card->nic, "it has sent what it was not given");
	return error != ERR_DEVICE;
}

static bool send(struct nic *nic, const struct packet *packet)
{
	struct card *card = nic->state;
	struct virtio_piece piece;
	uint8_t *buffer;
	uint8_t index;

	if (!card->free_count)
		return false;
	index = card->free[--card->free_count];
	buffer = card->send_buffers + index * NIC_BUFFER_SIZE;
	memset(buffer, 0, sizeof packet->header); /* nothing is left to do */
	memcpy(buffer + sizeof packet->header, packet->bytes, packet->length);
	piece = (struct virtio_piece){ arch_physical(buffer),
				       (uint32_t)sizeof packet->header +
					       packet->length,
				       false };
	virtio_ring_add(&card->rings[TRANSMIT], &piece, 1, index);
	nic->waiting++;
	return true;
}

static void flush(struct nic *nic)
{
	struct card *card = nic->state;

	virtio_pci_notify(&card->pci, TRANSMIT);
}

static uint32_t receive(struct card *card, uint32_t room)
{
	const uint32_t before = sizeof(struct packet_header);
	uint32_t index, length, count = 0;
	enum error error = ERR_NONE;

	while (count < room && !error) {
		const uint8_t *bytes;

		error = virtio_ring_take(&card->rings[RECEIVE], &index,
					 &length);
		if (error)
			break;
		bytes = card->receive_buffers + index * NIC_BUFFER_SIZE +
			before;
		nic_received(card->nic, bytes,
			     length > before ? length - before : 0);
		offer(card, index);
		count++;
	}
	if (count)
		virtio_pci_notify(&card->pci, RECEIVE);
	if (error == ERR_DEVICE)
		nic_reset(card->nic, "it filled what it was not given");
	return count;
}

static void take_answer(struct card *card)
{
	uint32_t token, length;

	if (virtio_ring_take(&card->rings[CONTROL], &token, &length) !=
	    ERR_NONE)
		return;
	card->ordered = false;
	if (card->order->answer != CTRL_OK)
		log_write(LOG_WARNING "nic %u: it does not take what is for "
				      "partitions' addresses",
			  card->nic->number);
}

static uint32_t poll(struct nic *nic, uint32_t count)
{
	struct card *card = nic->state;

	if (card->resetting) {
		go_on(card);
		return 0;
	}
	if (card->ordered)
		take_answer(card);
	if (!take_sent(card))
		return 0;
	return receive(card, count);
}

/* One that is not open has been negotiated with, and no more. */
static const char *check(struct nic *nic)
{
	struct card *card = nic->state;

	if (card && virtio_pci_needs_reset(&card->pci))
		return "it reports a fatal error";
	if (nic->registers.value)
		nic_set_link(nic, arch_mmio_read(nic->registers, 2) &
					  STATUS_LINK_UP);
	return NULL;
}

const struct nic_driver virtio_nic_driver = {
	.kind = "virtio",
	.knows = knows,
	.look = look,
	.open = open,
	.send = send,
	.flush = flush,
	.poll = poll,
	.check = check,
	.reset = reset,
};
