/* SPDX-License-Identifier: MIT */
/* Devices that come to a VM and go. */
#include <mullion/description.h>
#include <stdio.h>
#include <string.h>

#include "remote.h"
#include "texts.h"
#include "upload.h"
#include "work.h"

#define WAIT_SECONDS 30
#define LOOK_MILLISECONDS 100

struct device {
	bool nic; /* else a disk */
	uint32_t number;
};

/* A VM's devices, as they are now. */
struct devices {
	struct mull_disk_status disks[MULL_DISK_MAX];
	struct mull_vm_nic_status nics[MULL_NIC_MAX];
	size_t disk_count, nic_count;
};

static int look(struct mull *mull, uint32_t vm, struct devices *all)
{
	int error = mull_disks(mull, vm, all->disks, &all->disk_count);

	all->nic_count = 0;
	if (!error)
		error = mull_vm_nics(mull, vm, all->nics, &all->nic_count);
	/* An older hypervisor shows none. */
	return error == ERR_UNSUPPORTED ? MULL_OK : error;
}

static const struct mull_disk_status *find_disk(const struct devices *all,
						uint32_t number)
{
	for (size_t i = 0; i < all->disk_count; i++)
		if (all->disks[i].number == number)
			return &all->disks[i];
	return NULL;
}

static const struct mull_vm_nic_status *find_nic(const struct devices *all,
						 uint32_t number)
{
	for (size_t i = 0; i < all->nic_count; i++)
		if (all->nics[i].number == number)
			return &all->nics[i];
	return NULL;
}

/* 0: it has none; *@words: what has failed. */
static uint32_t state_of(const struct devices *all, struct device device,
			 const char **words)
{
	const struct mull_vm_nic_status *nic = find_nic(all, device.number);
	const struct mull_disk_status *disk = find_disk(all, device.number);

	*words = "";
	if (device.nic ? !nic : !disk)
		return 0;
	*words = device.nic ? nic->words : disk->words;
	return device.nic ? nic->state : disk->state;
}

static const char *kind_word(struct device device)
{
	return device.nic ? "nic" : "disk";
}

/* Until it is not @state any more. */
static enum status wait_while(struct mull *mull, uint32_t vm,
			      struct devices *all, struct device device,
			      uint32_t state, double seconds)
{
	double limit = seconds_now() + seconds;
	const char *words;

	for (;;) {
		int error = look(mull, vm, all);

		if (!error && state_of(all, device, &words) != state)
			return STATUS_OK;
		if (!error && seconds_now() > limit)
			return STATUS_TIMED_OUT;
		if (!error)
			error = mull_pump(mull, LOOK_MILLISECONDS, -1);
		if (error)
			return remote_status(mull, error);
	}
}

/* ---- attach -------------------------------------------------------------- */

/* What the command line asks for. */
struct wish {
	bool nic;
	struct mull_disk disk;
	struct mull_nic port;
	uint64_t changes; /* room for so many bytes; 0: not said */
};

/* A word of --nic, behind the switch. */
static bool take_nic_word(const char *word, struct mull_nic *nic)
{
	if (!strncmp(word, "mac=", 4)) {
		if (texts_to_mac(word + 4, nic->mac))
			return true;
		tell("mac is an address such as 02:00:00:00:00:01, not \"%s\"",
		     word + 4);
	} else if (!strncmp(word, "rate=", 5)) {
		if (texts_to_rate(word + 5, &nic->rate))
			return true;
		tell("rate is one such as 10Mbit (kbit, Mbit or Gbit), not "
		     "\"%s\"",
		     word + 5);
	} else {
		tell("behind a switch come mac=MAC and rate=RATE, not \"%s\"",
		     word);
	}
	return false;
}

static bool take_nic(const char *text, struct mull_nic *nic)
{
	size_t length = strcspn(text, ",");

	if (!length || length >= sizeof nic->network) {
		tell("a switch's name has 1 to %d letters: \"%.*s\"",
		     MULL_LABEL_MAX - 1, (int)length, text);
		return false;
	}
	memcpy(nic->network, text, length);
	for (text += length; *text; text += length) {
		char word[64] = "";

		length = strcspn(++text, ",");
		snprintf(word, sizeof word, "%.*s", (int)length, text);
		if (!take_nic_word(word, nic))
			return false;
	}
	return true;
}

static bool take_partition(const char *text, struct mull_disk *disk)
{
	disk->kind = MULL_DISK_PARTITION;
	disk->flags = 0;
	if (!*text || strlen(text) >= sizeof disk->partition) {
		tell("a partition's name has 1 to %d letters: \"%s\"",
		     MULL_PARTITION_MAX - 1, text);
		return false;
	}
	strcpy(disk->partition, text);
	return true;
}

static bool take_access(const struct options *options, struct wish *wish)
{
	const char *room = options->text[OPTION_ROOM];

	if (room && !texts_to_size(room, &wish->changes)) {
		tell("--room is a size such as 64MiB, not \"%s\"", room);
		return false;
	}
	if (room && options->text[OPTION_READ_ONLY]) {
		tell("what is only read (--read-only) needs no --room");
		return false;
	}
	if (options->text[OPTION_READ_ONLY])
		wish->disk.flags = MULL_DISK_READ_ONLY;
	else if (room)
		wish->disk.flags = MULL_DISK_PRIVATE;
	/* How large it is the machine alone knows. */
	if (wish->disk.kind == MULL_DISK_PARTITION)
		wish->disk.room = wish->changes;
	return true;
}

static bool take_wish(const struct options *options, struct wish *wish)
{
	const char *partition = options->text[OPTION_PARTITION];
	int said = !!options->second + !!partition + (int)options->nics.count;

	*wish = (struct wish){ .disk = { .kind = MULL_DISK_MEMORY,
					 .flags = MULL_DISK_PRIVATE } };
	if (said != 1) {
		tell("attach gives a VM one thing: IMAGE, --partition NAME or "
		     "--nic SWITCH");
		return false;
	}
	wish->nic = options->nics.count;
	if (wish->nic &&
	    (options->text[OPTION_READ_ONLY] || options->text[OPTION_ROOM])) {
		tell("--read-only and --room are about disks, not --nic");
		return false;
	}
	if (wish->nic)
		return take_nic(options->nics.values[0], &wish->port);
	if (partition && !take_partition(partition, &wish->disk))
		return false;
	return take_access(options, wish);
}

/* An image by its name there, or a file, which is uploaded first. */
static enum status bring(struct mull *mull, const char *name, struct wish *wish)
{
	struct uploaded uploaded = { .number = 0 };
	struct mull_disk *disk = &wish->disk;
	struct mull_image_status image;
	enum status status = STATUS_FAILED;
	struct image_file file;
	uint64_t size;

	if (mull_find_image(mull, name, &image) == MULL_OK) {
		if (image.kind != MULL_IMAGE_DISK) {
			tell("image \"%s\" is of kind %s, so no disk",
			     image.name, image_kind_word(image.kind));
			return STATUS_FAILED;
		}
		disk->image = image.number;
		size = image.size;
		status = STATUS_OK;
	} else {
		if (image_file_read(&file, name, NULL, MULL_IMAGE_DISK))
			status = upload_file(mull, &file, false, &uploaded);
		disk->image = uploaded.number;
		size = file.upload.size;
		image_file_free(&file);
	}
	if (disk->flags == MULL_DISK_PRIVATE)
		disk->room = mull_disk_room(
			size, wish->changes ? wish->changes : size);
	return status;
}

static void put(struct output *output, const struct devices *all,
		struct device device)
{
	if (device.nic)
		remote_put_nic(output, find_nic(all, device.number));
	else
		remote_put_disk(output, find_disk(all, device.number));
}

static enum status attach(struct mull *mull, const struct mull_vm_status *vm,
			  const struct wish *wish, double seconds,
			  struct output *output)
{
	struct device device = { .nic = wish->nic };
	struct devices all;
	const char *words;
	int error = wish->nic ? mull_plug_nic(mull, vm->number, &wish->port,
					      &device.number) :
				mull_plug(mull, vm->number, &wish->disk,
					  &device.number);
	enum status status = remote_status(mull, error);

	if (status == STATUS_OK)
		status = wait_while(mull, vm->number, &all, device,
				    MULL_DISK_COMING, seconds);
	if (status == STATUS_TIMED_OUT)
		tell("%s%u is still coming after %.0f s: see mullctl %ss",
		     kind_word(device), device.number, seconds,
		     kind_word(device));
	if (status != STATUS_OK)
		return status;
	if (state_of(&all, device, &words) != MULL_DISK_PRESENT) {
		tell("it could not come: %s",
		     *words ? words : "another one took it away again");
		return STATUS_FAILED;
	}
	put(output, &all, device);
	return STATUS_OK;
}

int verb_attach(const struct options *options)
{
	struct mull_vm_status vm;
	enum status status = STATUS_OK;
	struct output output;
	struct mull *mull;
	struct wish wish;
	double seconds;

	if (!take_wish(options, &wish) ||
	    !remote_timeout(options, WAIT_SECONDS, &seconds) ||
	    !output_begin(&output, options))
		return STATUS_USAGE;
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	work_begin();
	if (options->second)
		status = bring(mull, options->second, &wish);
	if (status == STATUS_OK)
		status = attach(mull, &vm, &wish, seconds, &output);
	output_end(&output);
	work_end();
	mull_close(mull);
	return status;
}

/* ---- detach -------------------------------------------------------------- */

/* "disk1", "nic0", or "1" for a disk. */
static bool is_numbered(const char *text, struct device *device)
{
	uint64_t number;

	device->nic = !strncmp(text, "nic", 3);
	if (device->nic)
		text += 3;
	else if (!strncmp(text, "disk", 4))
		text += 4;
	if (!texts_to_number(text, &number) || number >= 256)
		return false;
	device->number = (uint32_t)number;
	return true;
}

/* How many of the VM's devices are on the switch, or the partition, @text. */
static size_t count_named(const struct devices *all, const char *text,
			  struct device *device)
{
	size_t count = 0;

	for (size_t i = 0; i < all->disk_count; i++)
		if (!strcmp(all->disks[i].disk.partition, text)) {
			*device = (struct device){ false,
						   all->disks[i].number };
			count++;
		}
	for (size_t i = 0; i < all->nic_count; i++)
		if (!strcmp(all->nics[i].nic.network, text)) {
			*device = (struct device){ true, all->nics[i].number };
			count++;
		}
	return count;
}

static void tell_devices(const char *vm, const struct devices *all,
			 const char *text)
{
	char list[128] = "";
	size_t at = 0;

	for (size_t i = 0; i < all->disk_count; i++)
		at += (size_t)snprintf(list + at, sizeof list - at, " disk%u",
				       all->disks[i].number);
	for (size_t i = 0; i < all->nic_count; i++)
		at += (size_t)snprintf(list + at, sizeof list - at, " nic%u",
				       all->nics[i].number);
	tell("%s has no \"%s\"; it has:%s", vm, text, at ? list : " none");
}

static enum status find(struct mull *mull, const struct mull_vm_status *vm,
			const char *text, struct device *device)
{
	struct devices all;
	const char *words;
	size_t named;
	int error = look(mull, vm->number, &all);

	if (error)
		return remote_status(mull, error);
	named = count_named(&all, text, device);
	if (named > 1) {
		tell("%s has %zu devices at \"%s\": say which, such as %s%u",
		     vm->name, named, text, kind_word(*device), device->number);
		return STATUS_USAGE;
	}
	if (named ||
	    (is_numbered(text, device) && state_of(&all, *device, &words)))
		return STATUS_OK;
	tell_devices(vm->name, &all, text);
	return STATUS_FAILED;
}

static enum status detach(struct mull *mull, const struct mull_vm_status *vm,
			  struct device device, bool pull, double seconds)
{
	uint32_t bits = (device.nic ? MULL_UNPLUG_NIC : 0) |
			(pull ? MULL_UNPLUG_PULL : 0);
	struct devices all;
	const char *words;
	enum status status = remote_status(
		mull, mull_unplug(mull, vm->number, device.number | bits));

	if (status == STATUS_OK)
		status = wait_while(mull, vm->number, &all, device,
				    MULL_DISK_GOING, seconds);
	if (status == STATUS_TIMED_OUT)
		tell(pull ? "%s%u of %s is still going after %.0f s" :
			    "%s%u: %s has not let go of it after %.0f s: it "
			    "may use it, or know no devices that go; --force "
			    "pulls it out",
		     kind_word(device), device.number, vm->name, seconds);
	if (status != STATUS_OK ||
	    state_of(&all, device, &words) != MULL_DISK_FAILED)
		return status;
	tell("%s%u has gone, but %s", kind_word(device), device.number, words);
	return STATUS_FAILED;
}

int verb_detach(const struct options *options)
{
	struct device device = { .nic = false };
	struct mull_vm_status vm;
	enum status status;
	struct mull *mull;
	double seconds;

	if (!remote_timeout(options, WAIT_SECONDS, &seconds))
		return STATUS_USAGE;
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	status = find(mull, &vm, options->second, &device);
	if (status == STATUS_OK)
		status = detach(mull, &vm, device, options->text[OPTION_FORCE],
				seconds);
	mull_close(mull);
	return status;
}
