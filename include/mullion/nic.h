/* SPDX-License-Identifier: MIT */
/*
 * The machine's network cards.  All are numbered and looked at when the machine
 * starts; one of them may be opened then, for an uplink (uplink.h), and only
 * that one reads and writes memory: buffers of its driver, from and to which
 * packets are copied.  The service CPU alone drives it.
 *
 * A card is hostile: what it says of its buffers is bounded, and one that does
 * what it must not, or nothing, is reset, and given up at last.
 */
#ifndef MULLION_NIC_H
#define MULLION_NIC_H

#include <mullion/control.h>
#include <mullion/packet.h>
#include <mullion/pci.h>

#define NIC_BUFFER_SIZE 2048 /* bytes, of one packet and what goes before it */

struct nic;

struct nic_driver {
	const char *kind; /* "virtio", for people */
	/* Whether it drives @pci. */
	bool (*knows)(const struct pci_device *pci);
	/*
	 * Finds out nic->mac and nic->link, by waiting, and leaves the card at
	 * rest: it touches no memory.  At start.  Words: why it is of no use.
	 */
	const char *(*look)(struct nic *nic);
	/* Takes memory and begins a reset; at start. */
	const char *(*open)(struct nic *nic);
	/* Copies @packet into a buffer.  Returns false when all are in use. */
	bool (*send)(struct nic *nic, const struct packet *packet);
	/* What was sent is for the card now. */
	void (*flush)(struct nic *nic);
	/*
	 * Takes what has come, at most @count packets, by nic_received(), and
	 * gives those buffers back to the card; counts in nic->waiting what is
	 * not sent yet.  Returns how many; but goes on with a reset.
	 */
	uint32_t (*poll)(struct nic *nic, uint32_t count);
	/* Looks at the link, and whether the card is well; words: it is not.
	 * Of one that is not open, at the link alone. */
	const char *(*check)(struct nic *nic);
	/* Begins to stop it; when it surely touches no memory any more, poll()
	 * makes it ready again, or gives it up. */
	void (*reset)(struct nic *nic);
};

extern const struct nic_driver virtio_nic_driver, e1000e_driver;

struct nic {
	const struct nic_driver *driver; /* NULL: nobody knows it */
	struct pci_device *pci;
	uint32_t number; /* from 1, in the order of PCI addresses */
	uint8_t mac[MAC_SIZE];
	bool link;
	bool ready; /* it sends and receives */
	bool mute;  /* it sends nothing, resets or not, but receives */
	bool dead;  /* and never will (again) */
	/* It was told how to interrupt; one has come; and since fired = false. */
	bool connected, interrupts, fired;
	uint32_t waiting; /* packets that it has and has not sent yet */
	void *state;	  /* the driver's, once it is open */
	hpa_t registers;  /* the driver's, mapped; by which it finds the link */
	/* Of one that is open: takes @length bytes, at least PACKET_START and
	 * at most PACKET_PLAIN_MAX, at @bytes, which the card may still change.
	 */
	void (*receive)(struct nic *nic, const uint8_t *bytes, uint32_t length);

	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t malformed;	       /* received, and no packet */
	uint32_t resets, link_changes; /* since it was opened */

	/* kernel/net/nic.c's own */
	uint32_t failures;    /* resets since it last sent or received */
	uint32_t stuck;	      /* times that it hung, since it last sent */
	uint64_t next_check;  /* arch_time() */
	uint64_t done_before; /* packets that it had sent, and when it had */
	uint64_t since;
	uint32_t told, untold; /* lines in the log, and dropped ones */
	uint64_t told_since;   /* the minute of these */
};

#define NIC_FAILURES_MAX 3
#define NIC_LINES_A_MINUTE 8 /* of what a card may do without end */

/* Finds all cards, by waiting.  Boot CPU. */
void nics_start(void);
/* Card @number, from 1; NULL: there is none. */
struct nic *nic_at(uint32_t number);
/* What there is to know of it.  Service CPU. */
void nic_describe(struct nic *nic, struct mull_nic_status *status);

/* Opens it, for @receive; boot CPU.  Words: why it cannot be used. */
const char *nic_open(struct nic *nic,
		     void (*receive)(struct nic *nic, const uint8_t *bytes,
				     uint32_t length));
/* Whether packets can be given to it. */
static inline bool nic_takes(const struct nic *nic)
{
	return nic->ready && nic->link && !nic->mute;
}

/* One bounded round with an open card; whether there is more at once. */
bool nic_poll(struct nic *nic);
/* When the next one must be, as far as time alone says it; @full: something
 * waits until the card has sent more. */
uint64_t nic_deadline(const struct nic *nic, bool full);

/* ---- for drivers ---------------------------------------------------------- */

/* Bytes have come; @length may be anything up to what @bytes has. */
void nic_received(struct nic *nic, const uint8_t *bytes, uint32_t length);
/* It did what it must not, or nothing: says so in the log, begins a reset. */
void nic_reset(struct nic *nic, const char *why);
/* It is of no use: says so in the log; it can touch no memory any more. */
void nic_give_up(struct nic *nic, const char *why);
/* Notes its link, with a line in the log when it is open. */
void nic_set_link(struct nic *nic, bool link);
/* For pci_interrupt(), with the card as context. */
void nic_interrupt(void *context);

#endif
