/* SPDX-License-Identifier: MIT */
/* What a VM's devices have counted, for `mullctl stats`. */
#include "put_devices.h"

#include <stdio.h>

#define TYPE_NETWORK 1 /* of VIRTIO */
#define TYPE_SOCKETS 19

static const char *type_word(uint32_t type)
{
	switch (type) {
	case TYPE_NETWORK:
		return "network";
	case 2:
		return "disk";
	case 3:
		return "console";
	case 4:
		return "entropy";
	case 5:
		return "balloon";
	case TYPE_SOCKETS:
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

void put_mac(struct output *output, const uint8_t *mac)
{
	char text[18];

	snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	output_text(output, "mac", text);
}

static void put_drops(struct output *output,
		      const uint64_t drops[MULL_DROP_REASONS])
{
	static const char *const words[] = {
		[MULL_DROP_SPOOFED] = "spoofed",
		[MULL_DROP_MALFORMED] = "malformed",
		[MULL_DROP_NOBODY] = "for_nobody",
		[MULL_DROP_FULL] = "full",
		[MULL_DROP_CLOSED] = "closed",
		[MULL_DROP_TOO_LONG] = "too_long",
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		output_number(output, words[i], drops[i]);
}

/* What a device has passed on, and what became of the rest. */
static void put_traffic(struct output *output,
			const struct mull_device_stats *stats)
{
	output_number(output, "sent", stats->sent);
	output_number(output, "sent_bytes", stats->sent_bytes);
	output_number(output, "received", stats->received);
	output_number(output, "received_bytes", stats->received_bytes);
	put_drops(output, stats->drops);
}

static void put_network(struct output *output,
			const struct mull_device_stats *stats)
{
	output_text(output, "switch", stats->network);
	put_mac(output, stats->mac);
	put_traffic(output, stats);
}

static void put_sockets(struct output *output,
			const struct mull_device_stats *stats)
{
	output_text(output, "group", stats->network);
	output_number(output, "connections", stats->connections);
	output_number(output, "refused", stats->refused);
	put_traffic(output, stats);
}

/* Those of one type, if there are some. */
static void put_type(struct output *output, const char *key, uint32_t type,
		     const struct mull_device_stats *stats, size_t count,
		     void (*put)(struct output *output,
				 const struct mull_device_stats *stats))
{
	size_t i = 0;

	while (i < count && stats[i].type != type)
		i++;
	if (i == count)
		return;
	output_list_begin(output, key);
	for (; i < count; i++) {
		if (stats[i].type != type)
			continue;
		output_row_begin(output);
		output_number(output, "slot", stats[i].slot);
		put(output, &stats[i]);
		output_row_end(output);
	}
	output_list_end(output);
}

int put_device_stats(struct mull *mull, uint32_t vm, struct output *output)
{
	static struct mull_device_stats stats[MULL_DEVICE_MAX];
	size_t count;
	int error = mull_device_stats(mull, vm, stats, &count);

	if (error == ERR_UNSUPPORTED) /* an older hypervisor */
		return MULL_OK;
	if (error)
		return error;
	put_devices(output, stats, count);
	put_type(output, "networks", TYPE_NETWORK, stats, count, put_network);
	put_type(output, "sockets", TYPE_SOCKETS, stats, count, put_sockets);
	return MULL_OK;
}

static void put_nic(struct output *output, const struct mull_nic_status *nic)
{
	uint64_t dropped = nic->malformed;

	for (size_t i = 0; i < MULL_DROP_REASONS; i++)
		dropped += nic->drops[i];
	output_row_begin(output);
	output_number(output, "nic", nic->number);
	output_text(output, "card", nic->kind[0] ? nic->kind : "unknown");
	output_text(output, "pci", nic->pci);
	put_mac(output, nic->mac);
	output_text(output, "state",
		    nic->flags & MULL_NIC_DEAD	  ? "unusable" :
		    !(nic->flags & MULL_NIC_LINK) ? "down" :
		    nic->flags & MULL_NIC_MUTE	  ? "sends nothing" :
						    "up");
	output_text(output, "uplink_of", nic->network);
	output_number(output, "sent", nic->sent);
	output_number(output, "sent_bytes", nic->sent_bytes);
	output_number(output, "received", nic->received);
	output_number(output, "received_bytes", nic->received_bytes);
	output_number(output, "dropped", dropped);
	output_number(output, "resets", nic->resets);
	output_number(output, "link_changes", nic->link_changes);
	output_row_end(output);
}

int put_nics(struct mull *mull, struct output *output)
{
	static struct mull_nic_status nics[MULL_MACHINE_NIC_MAX];
	size_t count;
	int error = mull_nics(mull, nics, &count);

	if (error == ERR_UNSUPPORTED) /* an older hypervisor */
		return MULL_OK;
	if (error)
		return error;
	output_list_begin(output, "nics");
	for (size_t i = 0; i < count; i++)
		put_nic(output, &nics[i]);
	output_list_end(output);
	return MULL_OK;
}
