/* SPDX-License-Identifier: MIT */
/*
 * Speaks with the guest "shared role=pong" through an ivshmem device, without
 * a driver: its BARs are mapped as files of sysfs.  Takes the part of
 * "role=ping", but looks for the answers, since it hears no doorbell.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
#define ROUNDS 200
#define PATIENCE 60 /* seconds */

enum { PING, PONG };
enum registers { POSITION = 8 / 4, DOORBELL = 12 / 4 };
enum phase { PHASE_LISTENS = 1, PHASE_END = 3 };

/* As guests/shared.c has it. */
struct mailbox {
	volatile uint32_t phase;
	volatile uint32_t ping, pong;
};

static int passed, failed;

static int report(int ok, const char *text)
{
	printf("%s %s\n", ok ? "PASS" : "FAIL", text);
	*(ok ? &passed : &failed) += 1;
	return ok;
}

static unsigned read_number(const char *device, const char *file)
{
	char path[300];
	unsigned number = 0;
	FILE *stream;

	snprintf(path, sizeof path, DEVICES "/%s/%s", device, file);
	stream = fopen(path, "r");
	if (!stream)
		return 0;
	if (fscanf(stream, "%x", &number) != 1)
		number = 0;
	fclose(stream);
	return number;
}

/* The name of the device's folder; "": there is none. */
static void find_device(char *name, size_t size)
{
	DIR *folder = opendir(DEVICES);
	struct dirent *entry;

	*name = 0;
	while (folder && (entry = readdir(folder))) {
		if (read_number(entry->d_name, "vendor") == 0x1af4 &&
		    read_number(entry->d_name, "device") == 0x1110)
			snprintf(name, size, "%s", entry->d_name);
	}
	if (folder)
		closedir(folder);
}

static void enable(const char *device)
{
	char path[300];
	int file;

	snprintf(path, sizeof path, DEVICES "/%s/enable", device);
	file = open(path, O_WRONLY);
	if (file < 0)
		return;
	report(write(file, "1", 1) == 1, "the device can be enabled");
	close(file);
}

static void *map_resource(const char *device, int number, size_t *size)
{
	char path[300];
	struct stat status;
	void *bytes = MAP_FAILED;
	int file;

	snprintf(path, sizeof path, DEVICES "/%s/resource%d", device, number);
	file = open(path, O_RDWR);
	if (file < 0)
		return NULL;
	if (fstat(file, &status) == 0) {
		*size = (size_t)status.st_size;
		bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED,
			     file, 0);
	}
	close(file);
	return bytes == MAP_FAILED ? NULL : bytes;
}

static int wait_for(const volatile uint32_t *what, uint32_t value)
{
	time_t end = time(NULL) + PATIENCE;

	while (*what != value) {
		usleep(100);
		if (time(NULL) > end)
			return 0;
	}
	return 1;
}

static void speak(volatile uint32_t *registers, struct mailbox *box)
{
	uint32_t i;

	report(registers[POSITION] == PING, "it is the first peer");
	if (!report(wait_for(&box->phase, PHASE_LISTENS), "the other is there"))
		return;
	for (i = 1; i <= ROUNDS; i++) {
		box->ping = i;
		registers[DOORBELL] = PONG << 16;
		if (!wait_for(&box->pong, i))
			break;
	}
	report(i > ROUNDS, "200 messages there and back");
	box->phase = PHASE_END;
	registers[DOORBELL] = PONG << 16;
}

int main(void)
{
	char device[64];
	size_t size = 0, registers_size = 0;
	void *registers, *memory;

	find_device(device, sizeof device);
	if (report(*device, "there is an ivshmem device")) {
		enable(device);
		registers = map_resource(device, 0, &registers_size);
		memory = map_resource(device, 2, &size);
		report(registers && registers_size == 256,
		       "its registers can be mapped");
		report(memory && size == 8192, "its memory can be mapped");
		if (registers && memory)
			speak(registers, memory);
	}
	printf("DONE %d %d\n", passed, failed);
	return failed;
}
