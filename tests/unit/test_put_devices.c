/* SPDX-License-Identifier: MIT */
/* What `mullctl stats` and `mullctl info` tell of devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "caught_output.h"

#include <cmocka.h>
#include <put_devices.h>

static struct mull_device_stats devices[2];
static int answer;

int mull_device_stats(struct mull *mull, uint32_t vm,
		      struct mull_device_stats stats[MULL_DEVICE_MAX],
		      size_t *count)
{
	(void)mull;
	assert_int_equal(vm, 7);
	memcpy(stats, devices, sizeof devices);
	*count = 2;
	return answer;
}

int mull_nics(struct mull *mull,
	      struct mull_nic_status nics[MULL_MACHINE_NIC_MAX], size_t *count)
{
	(void)mull;
	(void)nics;
	*count = 0;
	return MULL_OK;
}

static void put_stats(struct output *output)
{
	assert_int_equal(put_device_stats(NULL, 7, output), answer);
}

static void sockets_are_beside_networks(void **state)
{
	(void)state;
	devices[0] = (struct mull_device_stats){
		.slot = 3, .type = 1, .network = "lan", .sent = 5
	};
	devices[1] = (struct mull_device_stats){ .slot = 4,
						 .type = 19,
						 .network = "backbone",
						 .connections = 6,
						 .refused = 7,
						 .sent = 8,
						 .sent_bytes = 9,
						 .received = 10,
						 .received_bytes = 11 };
	devices[1].drops[MULL_DROP_CLOSED] = 12;
	catch_output("json", put_stats);
	assert_non_null(strstr(shown, "\"networks\": [\n"
				      "    {\n"
				      "      \"slot\": 3,\n"
				      "      \"switch\": \"lan\",\n"));
	assert_non_null(strstr(shown, "\"sockets\": [\n"
				      "    {\n"
				      "      \"slot\": 4,\n"
				      "      \"group\": \"backbone\",\n"
				      "      \"connections\": 6,\n"
				      "      \"refused\": 7,\n"
				      "      \"sent\": 8,\n"
				      "      \"sent_bytes\": 9,\n"
				      "      \"received\": 10,\n"
				      "      \"received_bytes\": 11,\n"));
	assert_non_null(strstr(shown, "\"closed\": 12"));
	catch_output(NULL, put_stats);
	assert_non_null(strstr(shown, "SLOT  GROUP     CONNECTIONS  REFUSED"));
	/* Those without a group have counters too, others have no list. */
	devices[0].type = 2;
	devices[1].network[0] = 0;
	catch_output("json", put_stats);
	assert_null(strstr(shown, "networks"));
	assert_non_null(strstr(shown, "\"group\": \"\",\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_beside_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
