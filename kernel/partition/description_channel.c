/* SPDX-License-Identifier: MIT */
/* The management channel's place on the network. */
#include "description_parts.h"

#include <mullion/packet.h>
#include <string.h>

void mull_channel_mac(const struct mull_machine *machine, uint8_t mac[6])
{
	uint32_t address = machine->address;

	/* Locally administered; as unique in the network as its address. */
	mac[0] = 0x02;
	mac[1] = 'M';
	for (int i = 0; i < 4; i++)
		mac[2 + i] = (uint8_t)(address >> 8 * (3 - i));
}

/* That of one station: RFC 1122, "Addressing". */
static bool is_station(uint32_t address)
{
	uint32_t first = address >> 24;

	return first && first != 127 && first < 224 && (address & 0xff) != 0xff;
}

void check_channel(struct check *check)
{
	const struct mull_machine *machine = check->machine;
	const int itself = MULL_MACHINE_ITSELF;

	if (!machine->address) {
		if (machine->port ||
		    check_any_set(machine->key, sizeof machine->key))
			check_complain(check, itself, MULL_FIELD_CHANNEL,
				       "the channel has no address");
		return;
	}
	if (!is_station(machine->address))
		check_complain(check, itself, MULL_FIELD_CHANNEL,
			       "the channel's address is not that of a "
			       "station");
	if (machine->port > UINT16_MAX)
		check_complain(check, itself, MULL_FIELD_CHANNEL,
			       "the channel's port %u is not 1 to 65535",
			       machine->port);
	if (!check_any_set(machine->key, sizeof machine->key))
		check_complain(check, itself, MULL_FIELD_CHANNEL,
			       "the channel has an address, but no key: "
			       "anybody could command the machine");
	if (!machine->uplink_nic)
		check_complain(check, itself, MULL_FIELD_CHANNEL,
			       "the channel has an address, but the machine "
			       "has no uplink");
}

bool check_is_channel_mac(const struct check *check, const char *network,
			  const uint8_t mac[6])
{
	const struct mull_machine *machine = check->machine;
	uint8_t ours[MAC_SIZE];

	mull_channel_mac(machine, ours);
	return machine->address && mac_is(ours, mac) &&
	       !memcmp(machine->uplink, network, strlen(network) + 1);
}
