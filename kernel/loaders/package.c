/* SPDX-License-Identifier: MIT */
/*
 * The boot package.  A header that cannot be trusted ends the reading; what
 * is wrong with one record costs that image or VM only.
 */
#include <bearssl.h>
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/crc32.h>
#include <mullion/log.h>
#include <mullion/package_reader.h>
#include <string.h>

struct reading {
	struct package *package;
	struct mull_package_header header;
	package_complain *complain;
	void *context;
	bool bad_vm[MULL_VM_MAX];
};

static void say(const struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct reading *reading, const char *format, ...)
{
	char words[MULL_COMPLAINT_MAX + 64];
	va_list arguments;

	va_start(arguments, format);
	format_text_list(words, sizeof words, format, arguments);
	va_end(arguments);
	reading->complain(reading->context, words);
}

/* @name as it can be shown: its printable bytes, and never without an end. */
static const char *printable(const char name[MULL_NAME_MAX],
			     char shown[MULL_NAME_MAX])
{
	size_t i;

	for (i = 0; i < MULL_NAME_MAX - 1 && name[i]; i++)
		shown[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
	memset(shown + i, 0, MULL_NAME_MAX - i);
	return shown;
}

/* ---- header ------------------------------------------------------------- */

static enum error refuse(const struct reading *reading, enum error error,
			 const char *words)
{
	say(reading, "package: %s", words);
	return error;
}

static bool all_zero(const uint32_t *words, size_t count)
{
	uint32_t rest = 0;

	for (size_t i = 0; i < count; i++)
		rest |= words[i];
	return !rest;
}

/* Whether @count records of @size bytes from @offset lie in the package,
 * behind the header; no count is above MULL_IMAGE_MAX here. */
static bool table_is_inside(const struct mull_package_header *header,
			    uint64_t offset, uint32_t count, uint64_t size)
{
	return offset % 8 == 0 && offset >= sizeof *header &&
	       offset <= header->total_size &&
	       count * size <= header->total_size - offset;
}

/* Whether two ranges that do not wrap have a byte in common. */
static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

static uint64_t vm_bytes(const struct mull_package_header *header)
{
	return header->vm_count * sizeof(struct mull_vm);
}

static uint64_t image_bytes(const struct mull_package_header *header)
{
	return header->image_count * sizeof(struct mull_image);
}

static enum error check_tables(const struct reading *reading)
{
	const struct mull_package_header *header = &reading->header;

	if (header->vm_count == 0 || header->vm_count > MULL_VM_MAX)
		return refuse(reading, ERR_BAD_REQUEST,
			      "its number of VMs is not 1 to 64");
	if (header->image_count == 0 || header->image_count > MULL_IMAGE_MAX)
		return refuse(reading, ERR_BAD_REQUEST,
			      "its number of images is not 1 to 128");
	if (header->vm_size != sizeof(struct mull_vm) ||
	    header->image_size != sizeof(struct mull_image))
		return refuse(reading, ERR_VERSION,
			      "its records have another size than here");
	if (!table_is_inside(header, header->vm_offset, header->vm_count,
			     sizeof(struct mull_vm)))
		return refuse(reading, ERR_BAD_REQUEST,
			      "its VM records lie outside of it");
	if (!table_is_inside(header, header->image_offset, header->image_count,
			     sizeof(struct mull_image)))
		return refuse(reading, ERR_BAD_REQUEST,
			      "its image records lie outside of it");
	if (overlap(header->vm_offset, vm_bytes(header), header->image_offset,
		    image_bytes(header)))
		return refuse(reading, ERR_BAD_REQUEST,
			      "its VM and image records overlap");
	return ERR_NONE;
}

/* The rest of the package: what is there may be less than what was packed. */
static enum error check_size(const struct reading *reading)
{
	const struct mull_package_header *header = &reading->header;
	uint64_t there = reading->package->size;

	if (there >= header->total_size)
		return ERR_NONE;
	say(reading, "package: ends at byte %lu, but %lu were packed",
	    (unsigned long)there, (unsigned long)header->total_size);
	if (there < header->vm_offset + vm_bytes(header) ||
	    there < header->image_offset + image_bytes(header))
		return refuse(reading, ERR_TRUNCATED,
			      "its end is missing from within the records on");
	return ERR_NONE;
}

static enum error check_header(struct reading *reading)
{
	struct mull_package_header *header = &reading->header;
	const struct package *package = reading->package;
	uint32_t crc;
	enum error error;

	if (package->size < sizeof *header)
		return refuse(reading, ERR_TRUNCATED,
			      "too short for its own header");
	memcpy(header, package->bytes, sizeof *header);
	if (header->magic != MULL_PACKAGE_MAGIC)
		return refuse(reading, ERR_BAD_REQUEST,
			      "this is no package of Mullion");
	if (header->version != MULL_PACKAGE_VERSION ||
	    header->header_size != sizeof *header) {
		say(reading,
		    "package: made for version %u of the format, "
		    "but this is version %u",
		    header->version, MULL_PACKAGE_VERSION);
		return ERR_VERSION;
	}
	crc = header->crc;
	header->crc = 0;
	if (crc32_ieee(0, header, sizeof *header) != crc)
		return refuse(reading, ERR_BAD_CHECKSUM,
			      "its header is damaged (CRC-32)");
	if (!all_zero(header->reserved, ARRAY_COUNT(header->reserved)))
		return refuse(reading, ERR_VERSION,
			      "asks for something that this version does not "
			      "know");
	error = check_tables(reading);
	return error ? error : check_size(reading);
}

struct package boot_package;

/* ---- images ------------------------------------------------------------- */

/* Whether it ends and can be shown as it is. */
static bool name_is_good(const char name[MULL_NAME_MAX])
{
	char shown[MULL_NAME_MAX];
	size_t length = strlen(printable(name, shown));

	return length && !memcmp(name, shown, length + 1);
}

static bool crc_is_right(const struct mull_image *image)
{
	struct mull_image copy = *image;

	copy.crc = 0;
	return crc32_ieee(0, &copy, sizeof copy) == image->crc;
}

static bool image_kind_is_known(uint32_t kind)
{
	switch ((enum mull_image_kind)kind) {
	case MULL_IMAGE_BZIMAGE:
	case MULL_IMAGE_ELF64:
	case MULL_IMAGE_INITRD:
	case MULL_IMAGE_PVH:
	case MULL_IMAGE_MULTIBOOT:
	case MULL_IMAGE_MULTIBOOT2:
	case MULL_IMAGE_DISK:
	case MULL_IMAGE_FIRMWARE:
		return true;
		break;
	}
	return false;
}

const char *image_problem(const struct mull_image *image)
{
	if (!name_is_good(image->name))
		return "its name is not 1 to 31 printable characters";
	if (!image_kind_is_known(image->kind))
		return "its kind is not known";
	if (image->reserved || image->pad)
		return "asks for something that this version does not know";
	if (image->size == 0)
		return "it is empty";
	if (image->offset % PAGE_SIZE)
		return "it does not begin at a multiple of 4096";
	if (image->size > ~image->offset)
		return "its size is absurd";
	return NULL;
}

/* What it shares with the header, the records or an image before it. */
static const char *overlap_problem(const struct reading *reading,
				   uint32_t index)
{
	const struct mull_package_header *header = &reading->header;
	const struct package *package = reading->package;
	uint64_t at = package->images[index].offset;
	uint64_t size = package->images[index].size;

	if (overlap(at, size, 0, sizeof *header) ||
	    overlap(at, size, header->vm_offset, vm_bytes(header)) ||
	    overlap(at, size, header->image_offset, image_bytes(header)))
		return "it overlaps the package's header or records";
	for (uint32_t i = 0; i < index; i++)
		if (!package->image_words[i][0] &&
		    overlap(at, size, package->images[i].offset,
			    package->images[i].size))
			return "it overlaps another image";
	return NULL;
}

static void read_image(struct reading *reading, uint32_t index)
{
	struct package *package = reading->package;
	struct mull_image *image = &package->images[index];
	char *words = package->image_words[index];
	size_t room = sizeof package->image_words[index];
	char name[MULL_NAME_MAX];
	const char *problem;

	memcpy(image,
	       package->bytes + reading->header.image_offset +
		       index * sizeof *image,
	       sizeof *image);
	problem = crc_is_right(image) ? image_problem(image) :
					"its record is damaged (CRC-32)";
	if (!problem)
		problem = overlap_problem(reading, index);
	if (problem)
		format_text(words, room, "%s", problem);
	else if (image->offset + image->size > package->size)
		format_text(words, room,
			    "ends at byte %lu, but the package has %lu",
			    (unsigned long)(image->offset + image->size),
			    (unsigned long)package->size);
	if (!words[0])
		return;
	printable(image->name, name);
	memcpy(image->name, name, sizeof name);
	say(reading, "image \"%s\": %s", name, words);
}

/* ---- machine and VMs ---------------------------------------------------- */

/* What is wrong is told, and the machine's own default is taken. */
static void on_machine_complaint(void *context, int vm, enum mull_field field,
				 const char *words)
{
	struct reading *reading = context;
	struct mull_machine *machine = &reading->package->machine;

	(void)vm;
	say(reading, "machine: %s", words);
	switch ((int)field) {
	case MULL_FIELD_MACHINE_CPUS:
		machine->cpu_count = 0;
		break;
	case MULL_FIELD_MACHINE_MEMORY:
		machine->memory_size = 0;
		break;
	case MULL_FIELD_SERVICE_CPU:
		machine->service_cpu = 0;
		break;
	case MULL_FIELD_SERIAL:
		/* Speak where a line is most likely to be. */
		if (machine->serial_mode > MULL_SERIAL_CHANNEL)
			machine->serial_mode = MULL_SERIAL_TEXT;
		machine->serial_port = 0;
		machine->serial_baud = 0;
		break;
	case MULL_FIELD_MITIGATIONS:
		machine->mitigations = MULL_MITIGATIONS_AUTO;
		break;
	case MULL_FIELD_SCHEDULES: /* VMs that have a part are refused */
		memset(machine->schedules, 0, sizeof machine->schedules);
		break;
	case MULL_FIELD_UPLINK:
		machine->uplink_nic = 0;
		memset(machine->uplink, 0, sizeof machine->uplink);
		break;
	default:
		break;
	}
}

static void read_machine(struct reading *reading,
			 const struct mull_limits *limits)
{
	reading->package->machine = reading->header.machine;
	mull_check_machine(&reading->header.machine, limits,
			   on_machine_complaint, reading);
}

/* The first complaint becomes the words of the VM; all of them are told. */
static void refuse_vm(void *context, int vm, enum mull_field field,
		      const char *words)
{
	struct reading *reading = context;
	struct package *package = reading->package;
	char name[MULL_NAME_MAX];

	(void)field;
	reading->bad_vm[vm] = true;
	if (!package->vm_words[vm][0])
		format_text(package->vm_words[vm], MULL_COMPLAINT_MAX, "%s",
			    words);
	if (printable(package->vms[vm].name, name)[0])
		say(reading, "vm \"%s\": %s", name, words);
	else
		say(reading, "vm number %d: %s", vm, words);
}

static void read_vm(struct reading *reading, uint32_t index)
{
	struct package *package = reading->package;
	struct mull_vm *vm = &package->vms[index];
	uint32_t crc;

	memcpy(vm,
	       package->bytes + reading->header.vm_offset + index * sizeof *vm,
	       sizeof *vm);
	crc = vm->crc;
	vm->crc = 0;
	if (crc32_ieee(0, vm, sizeof *vm) != crc)
		refuse_vm(reading, (int)index, MULL_FIELD_FLAGS,
			  "its record is damaged (CRC-32)");
	else if (vm->pad)
		refuse_vm(reading, (int)index, MULL_FIELD_FLAGS,
			  "asks for something that this version does not know");
}

static void read_vms(struct reading *reading, const struct mull_limits *limits)
{
	struct package *package = reading->package;
	uint32_t kinds[MULL_IMAGE_MAX];
	char name[MULL_NAME_MAX];

	for (uint32_t i = 0; i < package->image_count; i++)
		kinds[i] = package->image_words[i][0] ? 0 :
							package->images[i].kind;
	for (uint32_t i = 0; i < package->vm_count; i++)
		read_vm(reading, i);
	mull_check_vms(&package->machine, package->vms, package->vm_count,
		       kinds, package->image_count, limits, reading->bad_vm,
		       refuse_vm, reading);
	/* A VM that is refused is still listed by its name. */
	for (uint32_t i = 0; i < package->vm_count; i++) {
		printable(package->vms[i].name, name);
		memcpy(package->vms[i].name, name, sizeof name);
	}
}

/* Of the records with the images' hashes in them, so of all that counts. */
static void hash_records(const struct reading *reading)
{
	const struct mull_package_header *header = &reading->header;
	struct package *package = reading->package;
	br_sha256_context context;

	arch_fpu_begin(); /* BearSSL's code uses vector registers */
	br_sha256_init(&context);
	br_sha256_update(&context, package->bytes, sizeof *header);
	br_sha256_update(&context, package->bytes + header->vm_offset,
			 vm_bytes(header));
	br_sha256_update(&context, package->bytes + header->image_offset,
			 image_bytes(header));
	br_sha256_out(&context, package->sha256);
	arch_fpu_end();
}

/* ---- the package -------------------------------------------------------- */

enum error package_read(struct package *package, const void *bytes,
			uint64_t size, const struct mull_limits *limits,
			package_complain *complain, void *context)
{
	struct reading reading = { .package = package,
				   .complain = complain,
				   .context = context };
	enum error error;

	memset(package, 0, sizeof *package);
	package->bytes = bytes;
	package->size = size;
	error = check_header(&reading);
	if (error)
		return error;
	/* Bytes behind the packed ones are nobody's. */
	if (package->size > reading.header.total_size)
		package->size = reading.header.total_size;
	package->vm_count = reading.header.vm_count;
	package->image_count = reading.header.image_count;
	for (uint32_t i = 0; i < package->image_count; i++)
		read_image(&reading, i);
	read_machine(&reading, limits);
	read_vms(&reading, limits);
	hash_records(&reading);
	return ERR_NONE;
}

struct load_image package_image(const struct package *package, uint32_t index)
{
	struct load_image image = { 0 };

	if (index >= package->image_count)
		return image;
	image.record = &package->images[index];
	if (!package->image_words[index][0])
		image.bytes = package->bytes + image.record->offset;
	return image;
}
