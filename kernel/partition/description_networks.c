/* SPDX-License-Identifier: MIT */
/* A VM's network devices: names of switches, and addresses on them. */
#include "description_parts.h"

#include <mullion/crc32.h>
#include <mullion/packet.h>
#include <string.h>

#define MAC_FORMAT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_WORDS(mac) mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]

/* IEEE 802, "Structure of local addresses": unicast, locally administered. */
#define MAC_LOCAL 0x02

void mull_nic_mac(const struct mull_vm *vm, uint32_t index, uint8_t mac[6])
{
	const char *end = memchr(vm->name, 0, sizeof vm->name);
	size_t length = end ? (size_t)(end - vm->name) : sizeof vm->name;
	uint32_t crc;

	if (check_any_set(vm->nics[index].mac, MAC_SIZE)) {
		memcpy(mac, vm->nics[index].mac, MAC_SIZE);
		return;
	}
	crc = crc32_ieee(0, vm->name, length);
	mac[0] = MAC_LOCAL;
	for (int i = 0; i < 4; i++)
		mac[1 + i] = (uint8_t)(crc >> 8 * (3 - i));
	mac[5] = (uint8_t)index;
}

uint32_t mull_nic_count(const struct mull_vm *vm)
{
	uint32_t count = 0;

	while (count < MULL_NIC_MAX && vm->nics[count].network[0])
		count++;
	return count;
}

void mull_close_up_nics(struct mull_vm *vm)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MULL_NIC_MAX; i++) {
		struct mull_nic nic = vm->nics[i];

		if (!nic.network[0])
			continue;
		mull_nic_mac(vm, i, nic.mac);
		vm->nics[count++] = nic;
	}
	memset(&vm->nics[count], 0, (MULL_NIC_MAX - count) * sizeof *vm->nics);
}

/* The VM up to @vm that has @mac on the same switch before NIC @index; -1. */
static int mac_owner(const struct check *check, int vm, uint32_t index,
		     const uint8_t *mac)
{
	const char *network = check->vms[vm].nics[index].network;
	uint8_t theirs[MAC_SIZE];

	for (int other = 0; other <= vm; other++) {
		const struct mull_vm *it = &check->vms[other];
		uint32_t count = other == vm ? index : mull_nic_count(it);

		if (other != vm && !check_counts(check, other))
			continue;
		for (uint32_t i = 0; i < count; i++) {
			mull_nic_mac(it, i, theirs);
			if (mac_is(theirs, mac) &&
			    !memcmp(it->nics[i].network, network,
				    strlen(network) + 1))
				return other;
		}
	}
	return -1;
}

/* @owner has @mac, too: "... and so has vm "web"". */
static void complain_taken(struct check *check, int vm, const char *network,
			   const uint8_t *mac, int owner)
{
	const char *name = check->vms[owner].name;

	if (owner == vm)
		check_complain(check, vm, MULL_FIELD_NETWORKS,
			       "has MAC " MAC_FORMAT " twice on network \"%s\"",
			       MAC_WORDS(mac), network);
	else if (check_is_name(name, MULL_NAME_MAX))
		check_complain(check, vm, MULL_FIELD_NETWORKS,
			       "has MAC " MAC_FORMAT " on network \"%s\", and "
			       "so has vm \"%s\"",
			       MAC_WORDS(mac), network, name);
	else
		check_complain(check, vm, MULL_FIELD_NETWORKS,
			       "has MAC " MAC_FORMAT " on network \"%s\", and "
			       "so has VM number %d",
			       MAC_WORDS(mac), network, owner);
}

static void check_mac(struct check *check, int vm, uint32_t index)
{
	const struct mull_vm *it = &check->vms[vm];
	uint8_t mac[MAC_SIZE];
	int owner;

	mull_nic_mac(it, index, mac);
	if (mac_is_group(mac)) {
		check_complain(check, vm, MULL_FIELD_NETWORKS,
			       "MAC " MAC_FORMAT " is that of a group",
			       MAC_WORDS(mac));
		return;
	}
	if (check_is_channel_mac(check, it->nics[index].network, mac))
		check_complain(check, vm, MULL_FIELD_NETWORKS,
			       "MAC " MAC_FORMAT " is the management channel's",
			       MAC_WORDS(mac));
	owner = mac_owner(check, vm, index, mac);
	if (owner >= 0)
		complain_taken(check, vm, it->nics[index].network, mac, owner);
}

void check_uplink(struct check *check)
{
	const struct mull_machine *machine = check->machine;
	const int itself = MULL_MACHINE_ITSELF;

	if (machine->uplink_nic > MULL_MACHINE_NIC_MAX)
		check_complain(check, itself, MULL_FIELD_UPLINK,
			       "the uplink's nic %u is not 1 to %u",
			       machine->uplink_nic, MULL_MACHINE_NIC_MAX);
	if (!machine->uplink_nic &&
	    check_any_set(machine->uplink, sizeof machine->uplink))
		check_complain(check, itself, MULL_FIELD_UPLINK,
			       "the uplink has no nic");
	if (machine->uplink_nic &&
	    !check_is_name(machine->uplink, sizeof machine->uplink))
		check_complain(check, itself, MULL_FIELD_UPLINK,
			       "the name of the uplink's switch is not 1 to "
			       "%u of a-z, 0-9 and -",
			       MULL_LABEL_MAX - 1);
}

void check_networks(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	uint32_t count = mull_nic_count(it);

	for (uint32_t i = 0; i < count; i++) {
		const struct mull_nic *nic = &it->nics[i];

		if (!check_is_name(nic->network, sizeof nic->network)) {
			check_complain(check, vm, MULL_FIELD_NETWORKS,
				       "the name of network %u is not 1 to %u "
				       "of a-z, 0-9 and -",
				       i + 1, MULL_LABEL_MAX - 1);
			return;
		}
		if (nic->flags || nic->reserved)
			check_complain(check, vm, MULL_FIELD_NETWORKS,
				       "network \"%s\" asks for something that "
				       "this version does not know",
				       nic->network);
		check_mac(check, vm, i);
	}
	if (check_any_set(&it->nics[count],
			  (MULL_NIC_MAX - count) * sizeof *it->nics))
		check_complain(check, vm, MULL_FIELD_NETWORKS,
			       "network %u has no name", count + 1);
}
