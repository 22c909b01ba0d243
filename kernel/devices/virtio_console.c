/* SPDX-License-Identifier: MIT */
/*
 * VIRTIO 1.2, "Console Device".  What a guest sends is taken in pieces, as far
 * as there is room for it; the rest of its chain waits in the ring, which is
 * walked again for it.
 */
#include <mullion/bits.h>
#include <mullion/manage.h>
#include <mullion/virtio_console.h>
#include <mullion/vm.h>
#include <string.h>

#define CLASS_COMMUNICATION 0x078000
#define FEATURE_MULTIPORT BIT(1)
#define CONFIG_PORTS 4 /* offset of max_nr_ports */
#define CONFIG_SIZE 12
#define PIECE 256 /* bytes at a time */

enum port_number { PORT_CONSOLE, PORT_AGENT };

/* "Device Operation: Multiport Device Operation" */
enum queue {
	QUEUE_RECEIVE_0 = 0, /* to the driver */
	QUEUE_TRANSMIT_0 = 1,
	QUEUE_CONTROL_RECEIVE = 2,
	QUEUE_CONTROL_TRANSMIT = 3,
	QUEUE_RECEIVE_1 = 4,
	QUEUE_TRANSMIT_1 = 5,
	QUEUES = 6,
};

enum event {
	EVENT_DEVICE_READY = 0,
	EVENT_PORT_ADD = 1,
	EVENT_PORT_READY = 3,
	EVENT_CONSOLE_PORT = 4,
	EVENT_PORT_OPEN = 6,
	EVENT_PORT_NAME = 7,
};

struct control {
	uint32_t id; /* of the port */
	uint16_t event;
	uint16_t value;
};

static struct virtio_console *of(struct virtio_device *device)
{
	return (struct virtio_console *)device;
}

static bool has_ports(const struct virtio_device *device)
{
	return device->negotiated & FEATURE_MULTIPORT;
}

/* ---- what a port sends ---------------------------------------------------- */

static size_t keep(struct vm *vm, struct virtio_console *console,
		   enum port_number number, const uint8_t *bytes, size_t length)
{
	struct console_ring *ring = &console->ports[number].stream.from_guest;

	return number == PORT_CONSOLE ? serial_print(vm, bytes, length) :
					console_put(ring, bytes, length);
}

static bool transmit(struct vm *vm, struct virtio_console *console,
		     uint32_t queue, enum port_number number)
{
	struct virtio_device *device = &console->device;
	struct console_port *port = &console->ports[number];
	uint64_t rest;
	uint8_t piece[PIECE];
	size_t length, kept;

	port->blocked = false;
	if (!virtio_take(vm, device, queue))
		return false;
	/* A guest may have changed it since its first bytes were taken. */
	rest = device->chain.readable_bytes > port->sent ?
		       device->chain.readable_bytes - port->sent :
		       0;
	length = rest < sizeof piece ? rest : sizeof piece;
	if (virtio_chain_read(&device->queues[queue], &device->chain,
			      port->sent, piece, length)) {
		virtio_break(vm, device, "a port sends what is no memory");
		return false;
	}
	kept = keep(vm, console, number, piece, length);
	port->sent += kept;
	if (kept < rest) {
		virtio_untake(device, queue);
		port->blocked = kept < length;
		return !port->blocked;
	}
	port->sent = 0;
	virtio_give(vm, device, queue, 0);
	return true;
}

/* ---- what a port receives ------------------------------------------------- */

static bool receive(struct vm *vm, struct virtio_console *console,
		    uint32_t queue, enum port_number number)
{
	struct virtio_device *device = &console->device;
	struct console_ring *ring = &console->ports[number].stream.to_guest;
	uint8_t piece[PIECE];
	size_t room = sizeof piece;

	if (ring->head == ring->tail || !virtio_take(vm, device, queue))
		return false;
	if (device->chain.readable || !device->chain.writable_bytes) {
		virtio_break(vm, device, "a port receives nowhere");
		return false;
	}
	if (device->chain.writable_bytes < room)
		room = device->chain.writable_bytes;
	room = console_take(ring, piece, room);
	if (virtio_chain_write(&device->queues[queue], &device->chain, 0, piece,
			       room)) {
		virtio_break(vm, device, "a port receives where no memory is");
		return false;
	}
	virtio_give(vm, device, queue, (uint32_t)room);
	return true;
}

/* ---- the control queues ---------------------------------------------------- */

static void owe(struct vm *vm, struct virtio_console *console,
		enum port_number number, uint32_t events)
{
	console->ports[number].due |= events;
	virtio_wake(vm, &console->device, QUEUE_CONTROL_RECEIVE);
}

static void set_open(struct console_port *port, bool open)
{
	/* What was meant for a former listener is not the next one's. */
	stream_reset(&port->stream);
	port->stream.open = open;
}

static void obey(struct vm *vm, struct virtio_console *console,
		 const struct control *control)
{
	if (control->event == EVENT_DEVICE_READY && control->value)
		for (uint32_t i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
			owe(vm, console, i, BIT(EVENT_PORT_ADD));
	if (control->id >= VIRTIO_CONSOLE_PORTS)
		return;
	/* Its own end is always open: there is a channel, if no client. */
	if (control->event == EVENT_PORT_READY && control->value)
		owe(vm, console, control->id,
		    BIT(EVENT_PORT_OPEN) | (control->id == PORT_CONSOLE ?
						    BIT(EVENT_CONSOLE_PORT) :
						    BIT(EVENT_PORT_NAME)));
	if (control->event == EVENT_PORT_OPEN)
		set_open(&console->ports[control->id], control->value);
}

static bool take_control(struct vm *vm, struct virtio_console *console)
{
	struct virtio_device *device = &console->device;
	const uint32_t queue = QUEUE_CONTROL_TRANSMIT;
	struct control control;

	if (!virtio_take(vm, device, queue))
		return false;
	if (virtio_chain_read(&device->queues[queue], &device->chain, 0,
			      &control, sizeof control)) {
		virtio_break(vm, device, "a console's message is too short");
		return false;
	}
	obey(vm, console, &control);
	virtio_give(vm, device, queue, 0);
	return true;
}

/* The port whose turn it is, and what its driver is to be told, in the order
 * in which that makes sense. */
static struct console_port *next_due(struct virtio_console *console,
				     struct control *control)
{
	static const uint16_t order[] = { EVENT_PORT_ADD, EVENT_CONSOLE_PORT,
					  EVENT_PORT_NAME, EVENT_PORT_OPEN };

	for (uint32_t i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		for (uint32_t j = 0; j < ARRAY_COUNT(order); j++) {
			if (!(console->ports[i].due & BIT(order[j])))
				continue;
			*control = (struct control){ i, order[j], 1 };
			return &console->ports[i];
		}
	return NULL;
}

static bool give_control(struct vm *vm, struct virtio_console *console)
{
	static const char name[] = VIRTIO_CONSOLE_AGENT;
	struct virtio_device *device = &console->device;
	struct virtqueue *queue = &device->queues[QUEUE_CONTROL_RECEIVE];
	uint8_t bytes[sizeof(struct control) + sizeof name - 1];
	size_t length = sizeof(struct control);
	struct control control;
	struct console_port *port = next_due(console, &control);

	if (!port || !virtio_take(vm, device, QUEUE_CONTROL_RECEIVE))
		return false;
	port->due &= ~(uint32_t)BIT(control.event);
	memcpy(bytes, &control, sizeof control);
	if (control.event == EVENT_PORT_NAME) {
		memcpy(bytes + sizeof control, name, sizeof name - 1);
		length = sizeof bytes;
	}
	if (virtio_chain_write(queue, &device->chain, 0, bytes, length)) {
		virtio_break(vm, device, "a message finds no room");
		return false;
	}
	virtio_give(vm, device, QUEUE_CONTROL_RECEIVE, (uint32_t)length);
	return true;
}

/* ---- the device ------------------------------------------------------------ */

static bool work(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	struct virtio_console *console = of(device);

	if (queue > QUEUE_TRANSMIT_0 && !has_ports(device))
		return false; /* their driver has not said that it knows them */
	switch ((enum queue)queue) {
	case QUEUE_RECEIVE_0:
		return receive(vm, console, queue, PORT_CONSOLE);
	case QUEUE_TRANSMIT_0:
		return transmit(vm, console, queue, PORT_CONSOLE);
	case QUEUE_CONTROL_RECEIVE:
		return give_control(vm, console);
	case QUEUE_CONTROL_TRANSMIT:
		return take_control(vm, console);
	case QUEUE_RECEIVE_1:
		return receive(vm, console, queue, PORT_AGENT);
	case QUEUE_TRANSMIT_1:
		return transmit(vm, console, queue, PORT_AGENT);
	case QUEUES:
		break;
	}
	return false;
}

static void reset(struct vm *vm, struct virtio_device *device)
{
	struct virtio_console *console = of(device);

	(void)vm;
	for (uint32_t i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
		stream_reset(&console->ports[i].stream);
		console->ports[i].sent = console->ports[i].due = 0;
		console->ports[i].blocked = false;
	}
}

static const struct virtio_type type = {
	.id = VIRTIO_ID_CONSOLE,
	.class = CLASS_COMMUNICATION,
	.features = FEATURE_MULTIPORT,
	.queue_count = QUEUES,
	.config_size = CONFIG_SIZE,
	.work = work,
	.reset = reset,
};

static bool begins(const char *at, const char *word)
{
	while (*word && *at == *word) {
		at++;
		word++;
	}
	return !*word;
}

/* Linux takes the last console that is named. */
static bool is_main(const char *line)
{
	bool is = false;

	for (const char *at = line; *at; at++)
		if (begins(at, "console=") && (at == line || at[-1] == ' '))
			is = begins(at, "console=hvc0");
	return is;
}

void virtio_console_add(struct vm *vm, struct virtio_console *console,
			uint32_t slot)
{
	struct stream *agent = &console->ports[PORT_AGENT].stream;

	console->ports[PORT_CONSOLE].stream.to_guest = (struct console_ring){
		.bytes = console->typed, .size = sizeof console->typed
	};
	agent->to_guest = (struct console_ring){
		.bytes = console->to_agent, .size = sizeof console->to_agent
	};
	agent->from_guest = (struct console_ring){
		.bytes = console->from_agent, .size = sizeof console->from_agent
	};
	console->device.config[CONFIG_PORTS] = VIRTIO_CONSOLE_PORTS;
	console->preferred = is_main(vm->description.command_line);
	vm->console = console;
	virtio_add(vm, &console->device, &type, slot);
}

/* ---- the channel's side ---------------------------------------------------- */

bool virtio_console_listens(const struct vm *vm)
{
	const struct virtio_console *console = vm->console;

	if (!console || !console->device.queues[QUEUE_RECEIVE_0].enabled ||
	    (has_ports(&console->device) &&
	     !console->ports[PORT_CONSOLE].stream.open))
		return false;
	return console->preferred || !serial_listens(vm);
}

size_t virtio_console_type(struct vm *vm, const uint8_t *bytes, size_t length)
{
	struct virtio_console *console = vm->console;
	struct stream *stream = &console->ports[PORT_CONSOLE].stream;
	size_t taken = console_put(&stream->to_guest, bytes, length);

	virtio_wake(vm, &console->device, QUEUE_RECEIVE_0);
	return taken;
}

void virtio_console_drained(struct vm *vm)
{
	struct virtio_console *console = vm->console;

	if (console && console->ports[PORT_CONSOLE].blocked)
		virtio_wake(vm, &console->device, QUEUE_TRANSMIT_0);
}

struct stream *virtio_console_agent(struct vm *vm)
{
	return vm->console ? &vm->console->ports[PORT_AGENT].stream : NULL;
}

void virtio_console_agent_changed(struct vm *vm)
{
	virtio_wake(vm, &vm->console->device, QUEUE_RECEIVE_1);
	if (vm->console->ports[PORT_AGENT].blocked)
		virtio_wake(vm, &vm->console->device, QUEUE_TRANSMIT_1);
}
