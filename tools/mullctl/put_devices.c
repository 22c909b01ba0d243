/* SPDX-License-Identifier: MIT */
/* What a VM's devices have counted, for `mullctl stats`. */
#include "put_devices.h"

#include <stdio.h>

static const char *type_word(uint32_t type)
{
	switch (type) {
	case 1:
		return "network";
	case 2:
		return "disk";
	case 3:
		return "console";
	case 4:
		return "entropy";
	case 5:
		return "balloon";
	case 19:
		return "vsock";
	default:
		return "other";
	}
}

static void put_devices(struct output *output,
			const struct mull_device_stats *stats, size_t count)
{
	output_list_begin(output, "devices");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		output_number(output, "slot", stats[i].slot);
		output_text(output, "device", type_word(stats[i].type));
		output_number(output, "notifications", stats[i].notifications);
		output_number(output, "interrupts", stats[i].interrupts);
		output_number(output, "chains", stats[i].chains);
		output_row_end(output);
	}
	output_list_end(output);
}

static void put_network(struct output *output,
			const struct mull_device_stats *stats)
{
	static const char *const drops[] = {
		[MULL_DROP_SPOOFED] = "spoofed",
		[MULL_DROP_MALFORMED] = "malformed",
		[MULL_DROP_NOBODY] = "for_nobody",
		[MULL_DROP_FULL] = "full",
		[MULL_DROP_CLOSED] = "closed",
		[MULL_DROP_TOO_LONG] = "too_long",
	};
	const uint8_t *mac = stats->mac;
	char text[18];

	snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	output_row_begin(output);
	output_number(output, "slot", stats->slot);
	output_text(output, "switch", stats->network);
	output_text(output, "mac", text);
	output_number(output, "sent", stats->sent);
	output_number(output, "sent_bytes", stats->sent_bytes);
	output_number(output, "received", stats->received);
	output_number(output, "received_bytes", stats->received_bytes);
	for (size_t i = 0; i < sizeof drops / sizeof *drops; i++)
		output_number(output, drops[i], stats->drops[i]);
	output_row_end(output);
}

int put_device_stats(struct mull *mull, uint32_t vm, struct output *output)
{
	static struct mull_device_stats stats[MULL_DEVICE_MAX];
	size_t count, networks = 0;
	int error = mull_device_stats(mull, vm, stats, &count);

	if (error == ERR_UNSUPPORTED) /* an older hypervisor */
		return MULL_OK;
	if (error)
		return error;
	put_devices(output, stats, count);
	for (size_t i = 0; i < count; i++)
		networks += stats[i].network[0] != 0;
	if (!networks)
		return MULL_OK;
	output_list_begin(output, "networks");
	for (size_t i = 0; i < count; i++)
		if (stats[i].network[0])
			put_network(output, &stats[i]);
	output_list_end(output);
	return MULL_OK;
}
