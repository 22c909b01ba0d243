/* SPDX-License-Identifier: MIT */
/* What `mullctl info` and `mullctl stats` tell of the machine's disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "caught_output.h"

#include <put_storage.h>

static const struct mull_machine_disk disk = {
	.name = "nvme0",
	.driver = "nvme",
	.pci = "00:04.0",
	.model = "QEMU NVMe Ctrl",
	.flags = MULL_MACHINE_DISK_READY | MULL_MACHINE_DISK_CACHED,
	.sector_size = 512,
	.resets = 7,
	.size = 64 << 20,
	.reads = 1,
	.read_bytes = 2,
	.writes = 3,
	.written_bytes = 4,
	.flushes = 5,
	.errors = 6,
};
static const struct mull_partition_status partition = {
	.name = "web-root",
	.guid = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0,
		  0xa0, 0xc9, 0x3e, 0xc9, 0x3b },
	.flags = MULL_PARTITION_WRITTEN,
	.users = 1,
	.first = 2048,
	.size = 16 << 20,
	.holder = "web",
};
static int answer;
static size_t disk_count;

int mull_machine_disks(struct mull *mull,
		       struct mull_machine_disk disks[MULL_MACHINE_DISK_MAX],
		       size_t *count)
{
	(void)mull;
	disks[0] = disk;
	*count = answer ? 0 : disk_count;
	return answer;
}

int mull_partitions(
	struct mull *mull,
	struct mull_partition_status partitions[MULL_MACHINE_PARTITION_MAX],
	size_t *count)
{
	(void)mull;
	partitions[0] = partitions[1] = partition;
	partitions[1].disk = 8; /* which nobody knows */
	*count = 2;
	return answer;
}

static void put_info(struct output *output)
{
	assert_int_equal(put_machine_disks(NULL, output), MULL_OK);
}

static void put_stats(struct output *output)
{
	assert_int_equal(put_disk_counts(NULL, output), MULL_OK);
}

static void info_has_disks_and_partitions(void **state)
{
	(void)state;
	answer = MULL_OK;
	disk_count = 1;
	catch_output("json", put_info);
	assert_non_null(strstr(shown, "\"disks\": [\n"
				      "    {\n"
				      "      \"disk\": \"nvme0\",\n"
				      "      \"driver\": \"nvme\",\n"
				      "      \"model\": \"QEMU NVMe Ctrl\",\n"
				      "      \"pci\": \"00:04.0\",\n"
				      "      \"size\": 67108864,\n"
				      "      \"sector\": 512,\n"
				      "      \"state\": \"ready\",\n"
				      "      \"read_only\": false,\n"
				      "      \"write_cache\": true,\n"
				      "      \"interrupts\": true\n"));
	/* UEFI's own example of how the bytes are turned. */
	assert_non_null(strstr(
		shown, "\"guid\": \"c12a7328-f81f-11d2-ba4b-00a0c93ec93b\""));
	assert_non_null(strstr(shown, "\"disk\": \"nvme0\",\n      \"guid\""));
	assert_non_null(strstr(shown, "\"disk\": \"\",\n      \"guid\""));
	assert_non_null(strstr(shown, "\"held_by\": \"web\",\n"
				      "      \"users\": 1,\n"
				      "      \"access\": \"write\","));
	catch_output(NULL, put_info);
	assert_non_null(strstr(shown, "web-root   nvme0  c12a7328  2048  "));
}

static void stats_have_what_they_did(void **state)
{
	(void)state;
	answer = MULL_OK;
	disk_count = 1;
	catch_output("json", put_stats);
	assert_non_null(strstr(shown, "\"disk\": \"nvme0\",\n"
				      "      \"reads\": 1,\n"
				      "      \"read\": 2,\n"
				      "      \"writes\": 3,\n"
				      "      \"written\": 4,\n"
				      "      \"flushes\": 5,\n"
				      "      \"errors\": 6,\n"
				      "      \"resets\": 7\n"));
}

static void without_disks_there_is_no_list(void **state)
{
	(void)state;
	answer = ERR_UNSUPPORTED; /* an older hypervisor */
	catch_output("json", put_info);
	assert_null(strstr(shown, "disk"));
	answer = MULL_OK;
	disk_count = 0;
	catch_output("json", put_stats);
	assert_null(strstr(shown, "disk"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(info_has_disks_and_partitions),
		cmocka_unit_test(stats_have_what_they_did),
		cmocka_unit_test(without_disks_there_is_no_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
