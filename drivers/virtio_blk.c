/* SPDX-License-Identifier: MIT */
/* Virtio disks of the machine (an emulator's, or another hypervisor's).
 * Virtual I/O Device (VIRTIO) 1.2, "Block Device". */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <mullion/virtio_blk.h>
#include <mullion/virtio_pci.h>
#include <string.h>

#define DISKS_MAX 8
#define VIRTIO_ID_BLOCK 2
#define QUEUE 0
#define COMMAND_MAX KIB(256)
#define RESET_TIMEOUT_MS 1000
#define LOOK_MS 100

/* "Feature bits" of a block device */
#define FEATURE_SIZE_MAX BIT(1)
#define FEATURE_SEG_MAX BIT(2)
#define FEATURE_READ_ONLY BIT(5)
#define FEATURE_BLOCK_SIZE BIT(6)
#define FEATURE_FLUSH BIT(9)
/* "Device configuration layout" */
#define CONFIG_CAPACITY 0 /* of 512 bytes */
#define CONFIG_SIZE_MAX 8
#define CONFIG_SEG_MAX 12
#define CONFIG_BLOCK_SIZE 20

/* "Device Operation" */
enum virtio_blk_type { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4 };
#define STATUS_OK 0
#define STATUS_NONE 0xff /* the device has not said anything */

struct header {
	uint32_t type, reserved;
	uint64_t sector; /* of 512 bytes */
};

/* Memory that the device reads and writes, beside the ring. */
struct shared {
	struct header headers[BLOCK_SLOTS];
	volatile uint8_t status[BLOCK_SLOTS];
};
_Static_assert(sizeof(struct shared) <= PAGE_SIZE, "one page");

struct disk {
	struct block_device block;
	struct virtio_pci pci;
	struct virtio_ring ring;
	struct shared *shared;
	bool resetting, known;
	uint16_t entry;	    /* of MSI-X */
	uint64_t deadline;  /* of the reset, arch_time() */
	uint64_t next_look; /* at its status */
	struct virtio_piece pieces[BLOCK_SEGMENTS_MAX + 2];
};

static struct disk disks[DISKS_MAX];
static uint32_t disk_count;

static struct disk *of(struct block_device *device)
{
	return (struct disk *)device; /* its first member */
}

static void give_up(struct disk *disk, const char *why)
{
	pci_stop(disk->pci.pci);
	block_give_up(&disk->block, why);
}

/* ---- start and reset ------------------------------------------------------- */

static void reset(struct block_device *device)
{
	struct disk *disk = of(device);

	disk->resetting = true;
	disk->deadline = arch_time() + arch_time_ms(RESET_TIMEOUT_MS);
	virtio_pci_reset(&disk->pci);
}

/* What it says of itself; words, why it cannot be used. */
static const char *take_config(struct disk *disk)
{
	const struct virtio_pci *pci = &disk->pci;
	struct block_device *block = &disk->block;
	uint64_t capacity =
		virtio_pci_config(pci, CONFIG_CAPACITY, 4) |
		(uint64_t)virtio_pci_config(pci, CONFIG_CAPACITY + 4, 4) << 32;
	uint32_t size = pci->features & FEATURE_BLOCK_SIZE ?
				virtio_pci_config(pci, CONFIG_BLOCK_SIZE, 4) :
				512;
	uint32_t segments = pci->features & FEATURE_SEG_MAX ?
				    virtio_pci_config(pci, CONFIG_SEG_MAX, 4) :
				    1;

	if (size != 512 && size != 4096)
		return "its sectors are of neither 512 nor 4096 bytes";
	capacity /= size / 512;
	if (disk->known &&
	    (block->sector_size != size || block->sector_count != capacity))
		return "it came back with another size";
	block->sector_size = size;
	block->sector_count = capacity;
	block->segments_max = segments;
	if (segments > disk->ring.size - 2u)
		block->segments_max = disk->ring.size - 2u;
	block->command_max = COMMAND_MAX;
	/* No segment is longer than a command. */
	if (pci->features & FEATURE_SIZE_MAX &&
	    virtio_pci_config(pci, CONFIG_SIZE_MAX, 4) < COMMAND_MAX)
		block->command_max = (uint32_t)round_down(
			virtio_pci_config(pci, CONFIG_SIZE_MAX, 4), 4096);
	block->write_cache = pci->features & FEATURE_FLUSH;
	block->read_only = pci->features & FEATURE_READ_ONLY;
	return NULL;
}

/* From a reset device to one that works. */
static const char *bring_up(struct disk *disk)
{
	const uint64_t wanted = FEATURE_SIZE_MAX | FEATURE_SEG_MAX |
				FEATURE_READ_ONLY | FEATURE_BLOCK_SIZE |
				FEATURE_FLUSH;
	const char *words;
	uint16_t size;

	if (virtio_pci_negotiate(&disk->pci, wanted) != ERR_NONE)
		return "no agreement on features";
	size = virtio_pci_queue_size(&disk->pci, QUEUE);
	if (size < 4 || (disk->known && size < disk->ring.size))
		return "its queue is too short";
	if (disk->known)
		virtio_ring_reset(&disk->ring);
	else if (virtio_ring_make(&disk->ring, size) != ERR_NONE)
		return "no memory for its queue";
	words = take_config(disk);
	if (words)
		return words;
	if (virtio_pci_set_queue(&disk->pci, QUEUE, &disk->ring, disk->entry) !=
	    ERR_NONE)
		log_write("disk %s: it gives no interrupt, it is polled",
			  disk->block.name);
	virtio_pci_go(&disk->pci);
	disk->known = true;
	disk->resetting = false;
	disk->next_look = arch_time() + arch_time_ms(LOOK_MS);
	disk->block.ready = true;
	return NULL;
}

static void go_on(struct disk *disk)
{
	const char *words = NULL;

	if (virtio_pci_is_reset(&disk->pci)) {
		block_lost(&disk->block, ERR_TIMEOUT);
		if (disk->block.failures > BLOCK_FAILURES_MAX)
			words = "it fails again and again";
		else
			words = bring_up(disk);
	} else if ((int64_t)(arch_time() - disk->deadline) > 0) {
		words = "it cannot be reset";
	}
	if (words)
		give_up(disk, words);
}

/* ---- commands -------------------------------------------------------------- */

static enum error start(struct block_device *device, uint32_t slot,
			const struct block_command *command)
{
	static const uint32_t types[] = {
		[BLOCK_READ] = TYPE_IN,
		[BLOCK_WRITE] = TYPE_OUT,
		[BLOCK_FLUSH] = TYPE_FLUSH,
	};
	struct disk *disk = of(device);
	struct shared *shared = disk->shared;
	struct virtio_piece *pieces = disk->pieces;
	uint32_t count = 0;
	enum error error;

	shared->status[slot] = STATUS_NONE;
	shared->headers[slot] = (struct header){
		.type = types[command->operation],
		.sector = command->sector * (device->sector_size / 512),
	};
	pieces[count++] = (struct virtio_piece){
		arch_physical(&shared->headers[slot]), sizeof(struct header),
		false
	};
	for (uint32_t i = 0; i < command->segment_count; i++)
		pieces[count++] = (struct virtio_piece){
			command->segments[i].at, command->segments[i].length,
			command->operation == BLOCK_READ
		};
	pieces[count++] = (struct virtio_piece){
		arch_physical((void *)&shared->status[slot]), 1, true
	};
	error = virtio_ring_add(&disk->ring, pieces, count, slot);
	if (!error)
		virtio_pci_notify(&disk->pci, QUEUE);
	return error;
}

static void take_ended(struct disk *disk)
{
	uint32_t slot, length;
	enum error error = ERR_NONE;

	for (uint32_t i = 0; i < disk->ring.size && !error; i++) {
		error = virtio_ring_take(&disk->ring, &slot, &length);
		if (!error)
			block_ended(&disk->block, slot,
				    disk->shared->status[slot] == STATUS_OK ?
					    ERR_NONE :
					    ERR_DEVICE);
	}
	if (error == ERR_DEVICE)
		block_reset(&disk->block,
			    "it ended a command that does not run");
}

static void poll(struct block_device *device)
{
	struct disk *disk = of(device);

	if (disk->resetting) {
		go_on(disk);
		return;
	}
	take_ended(disk);
	if (disk->resetting || (int64_t)(arch_time() - disk->next_look) < 0)
		return;
	disk->next_look = arch_time() + arch_time_ms(LOOK_MS);
	if (virtio_pci_needs_reset(&disk->pci))
		block_reset(device, "it reports a fatal error");
}

static const struct block_driver virtio_blk_driver = { start, poll, reset,
						       "virtio" };

/* ---- finding them ---------------------------------------------------------- */

static void on_interrupt(void *context)
{
	struct disk *disk = context;

	disk->block.interrupts = true; /* and the CPU is awake */
}

static void start_disk(struct disk *disk, struct pci_device *pci)
{
	enum error error = virtio_pci_open(&disk->pci, pci);

	disk->pci.pci = pci;
	if (error) {
		give_up(disk, "it has no modern interface");
		return;
	}
	disk->shared = page_alloc(1);
	if (!disk->shared) {
		give_up(disk, "no memory for its commands");
		return;
	}
	log_write("disk %s: virtio %04x:%04x at PCI %s", disk->block.name,
		  pci->vendor, pci->id, pci->name);
	disk->block.driver = &virtio_blk_driver;
	disk->block.pci = pci->name;
	disk->block.slots = BLOCK_SLOTS;
	disk->block.alignment = 1;
	format_text(disk->block.model, sizeof disk->block.model, "virtio disk");
	disk->entry = 0;
	error = pci_interrupt(pci, 0, on_interrupt, disk);
	if (error) {
		log_write("disk %s: no interrupt, it is polled: %s",
			  disk->block.name, error_text(error));
		disk->entry = VIRTIO_PCI_NO_ENTRY;
	}
	reset(&disk->block);
	while (disk->resetting && !disk->block.dead) {
		go_on(disk);
		arch_pause();
	}
	if (disk->block.dead)
		return;
	error = block_add(&disk->block);
	if (error)
		give_up(disk, error_text(error));
}

void virtio_blk_start(void)
{
	struct pci_device *pci = NULL;

	while ((pci = pci_next(pci)) && disk_count < DISKS_MAX) {
		struct disk *disk = &disks[disk_count];

		if (pci->vendor != VIRTIO_PCI_VENDOR ||
		    (pci->id != VIRTIO_PCI_MODERN + VIRTIO_ID_BLOCK &&
		     pci->id != VIRTIO_PCI_OLD_BLOCK) ||
		    pci_own(pci, "virtio-blk") != ERR_NONE)
			continue;
		memset(disk, 0, sizeof *disk);
		format_text(disk->block.name, sizeof disk->block.name, "vd%u",
			    disk_count++);
		start_disk(disk, pci);
	}
}
