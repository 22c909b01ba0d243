/* SPDX-License-Identifier: MIT */
/*
 * Which disks and GPT partitions there are, by name, as the start found them.
 * A table that is changed later counts from the next start on.
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/gpt.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/nvme.h>
#include <mullion/page.h>
#include <mullion/virtio_blk.h>
#include <string.h>

#define PARTITIONS_MAX 128 /* of all disks together */

static struct block_partition *partitions; /* page_alloc'd at the first one */
static uint32_t partition_count;

const struct block_partition *block_partition_at(uint32_t index)
{
	return index < partition_count ? &partitions[index] : NULL;
}

static bool is_named(const struct block_partition *partition, const char *name)
{
	uint32_t i = 0;

	while (i < MULL_PARTITION_MAX && name[i] &&
	       name[i] == partition->name[i])
		i++;
	return i < MULL_PARTITION_MAX && name[i] == partition->name[i];
}

static struct block_partition *find(const char *name)
{
	for (uint32_t i = 0; i < partition_count; i++)
		if (is_named(&partitions[i], name))
			return &partitions[i];
	return NULL;
}

/* Which of two a manifest means nobody can say, so nobody gets one of them. */
static void refuse_both(struct block_partition *one,
			struct block_partition *other)
{
	if (!one->refusal)
		log_write(LOG_WARNING "disk %s: partition '%s' cannot be used "
				      "either: one on %s has its name",
			  one->device->name, one->name, other->device->name);
	one->refusal = other->refusal = "there is another one of that name";
	one->size = other->size = 0;
}

enum error block_partition_add(const struct block_partition *partition)
{
	uint32_t pages = pages_for(PARTITIONS_MAX * sizeof *partition);
	struct block_partition *same = find(partition->name);

	if (!partitions)
		partitions = page_alloc(pages);
	if (!partitions || partition_count == PARTITIONS_MAX)
		return ERR_NO_MEMORY;
	partitions[partition_count] = *partition;
	if (same)
		refuse_both(same, &partitions[partition_count]);
	partition_count++;
	return ERR_NONE;
}

enum error block_take(const char *name, bool write,
		      struct block_partition **found, const char **words)
{
	struct block_partition *partition = find(name);

	*words = "there is no such partition";
	if (!partition)
		return ERR_NOT_FOUND;
	*words = partition->refusal;
	if (partition->refusal)
		return ERR_UNSUPPORTED;
	*words = "its disk can only be read";
	if (write && partition->device->read_only)
		return ERR_UNSUPPORTED;
	*words = "another VM has it";
	if (partition->users && (write || partition->written))
		return ERR_BUSY;
	partition->users++;
	partition->written = write;
	*found = partition;
	return ERR_NONE;
}

void block_give(struct block_partition *partition)
{
	ASSERT(partition->users);
	partition->users--;
	partition->written = false;
}

/* ---- at start -------------------------------------------------------------- */

static enum error read_sectors(void *context, uint64_t sector, void *to,
			       uint32_t count)
{
	return block_read_now(context, sector, to, count);
}

static void add_partition(struct block_device *device,
			  const struct gpt_partition *entry)
{
	struct block_partition partition = {
		.device = device,
		.first = entry->first,
		.refusal = entry->refusal,
	};
	const struct block_partition *added;

	if (!entry->refusal)
		partition.size = (entry->last - entry->first + 1) *
				 device->sector_size;
	memcpy(partition.name, entry->name, sizeof entry->name);
	memcpy(partition.guid, entry->guid, sizeof partition.guid);
	if (block_partition_add(&partition) != ERR_NONE) {
		log_write(LOG_WARNING "disk %s: no room for partition '%s'",
			  device->name, entry->name);
		return;
	}
	added = &partitions[partition_count - 1];
	if (added->refusal)
		log_write(LOG_WARNING "disk %s: partition '%s' from sector %lu "
				      "cannot be used: %s",
			  device->name, added->name, added->first,
			  added->refusal);
	else
		log_write("disk %s: partition '%s', %lu KiB from sector %lu",
			  device->name, added->name, added->size / KIB(1),
			  added->first);
}

static void find_partitions(struct block_device *device, struct gpt *gpt,
			    void *buffer)
{
	const struct gpt_source source = {
		.sector_size = device->sector_size,
		.sector_count = device->sector_count,
		.read = read_sectors,
		.context = device,
		.buffer = buffer,
	};
	const char *words;
	enum error error = gpt_read(&source, gpt, &words);

	if (error) {
		log_write("disk %s: no partitions: %s", device->name, words);
		return;
	}
	if (gpt->from_backup)
		log_write(LOG_WARNING "disk %s: %s; the GPT at its end is good",
			  device->name, words);
	if (gpt->backup_fails)
		log_write(LOG_WARNING "disk %s: the GPT at its end is damaged",
			  device->name);
	if (gpt->left_out)
		log_write(LOG_WARNING "disk %s: %u more partitions than %u",
			  device->name, gpt->left_out, GPT_PARTITIONS_MAX);
	for (uint32_t i = 0; i < gpt->count; i++)
		add_partition(device, &gpt->partitions[i]);
}

static void describe(struct block_device *device)
{
	log_write("disk %s: %s, %lu MiB in sectors of %u bytes%s%s",
		  device->name, device->model, device->whole.size / MIB(1),
		  device->sector_size,
		  device->write_cache ? ", write cache" : "",
		  device->read_only ? ", read only" : "");
}

void storage_start(void)
{
	uint32_t pages = pages_for(sizeof(struct gpt));
	struct gpt *gpt;
	void *buffer;

	nvme_start();
	virtio_blk_start();
	if (!block_device_at(0))
		return;
	gpt = page_alloc(pages);
	buffer = page_alloc(1);
	for (uint32_t i = 0; gpt && buffer && i < BLOCK_DEVICES_MAX; i++) {
		struct block_device *device = block_device_at(i);

		if (!device)
			break;
		describe(device);
		find_partitions(device, gpt, buffer);
	}
	if (gpt)
		page_free(gpt, pages);
	if (buffer)
		page_free(buffer, 1);
	ledger_note(arch_time(), "disks looked at: %u partitions",
		    partition_count);
}
