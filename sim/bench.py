"""The Verilog around the design under test: it replays beats from files, stalls as told, and writes what comes out.

Nothing is awaited per beat in Python; cocotb gives clock and reset and waits for `done`. Files, in the folder the
simulation runs in: `NAME.hex` for each input stream, such as `a.hex` (one beat per line: the digit `last`, then tdata),
`y.hex` and one for each other output stream out (the same, then the cycle it was accepted in).
"""

from golden.spec import Spec
from hdl.kinds import kind_of

IDLE_CYCLES = 64
STALL_UNIT = 1 << 16


def bench(spec: Spec):
    """Verilog text of module `bench` around module `spec.name`.

    Plusargs: +seed, +stall_NAME for each stream (chance of a stall in 1/65536 per cycle), +expect (beats of output on
    `y`), +limit (cycles until it gives up). Cycles count from the first beat on `a`, `w` or `c`.
    """
    kind = kind_of(spec)
    sources, sinks = kind.inputs(spec), kind.outputs(spec)
    drivers = "".join(
        _DRIVER.format(n=name, bits=8 * beat.bytes, index=index) for index, (name, beat) in enumerate(sources.items())
    )
    ports = "".join(_PORTS.format(n=name) for name in sources)
    monitors = "".join(
        _MONITOR.format(n=name, bits=8 * beat.bytes, high=63 - 16 * index)
        for index, (name, beat) in enumerate(sinks.items())
    )
    outputs = ",".join(_OUTPUT_PORTS.format(n=name) for name in sinks)
    each = {
        "accepted": " || ".join(f"({name}_valid && {name}_ready)" for name in sinks),
        "errors": " + ".join(f"{name}_errors" for name in sinks),
        "close": " ".join(f"$fclose({name}_file);" for name in sinks),
    }
    starts = " || ".join(f"({name}_valid && {name}_ready)" for name in sources if name in ("a", "w", "c"))
    parts = {"drivers": drivers, "monitors": monitors, "ports": ports, "outputs": outputs, "starts": starts}
    return _BENCH.format(name=spec.name, **parts, **each, idle=IDLE_CYCLES)


_PORTS = """
    .s_axis_{n}_tdata({n}_word[{n}_bits-1:0]), .s_axis_{n}_tvalid({n}_valid),
    .s_axis_{n}_tready({n}_ready), .s_axis_{n}_tlast({n}_word[{n}_bits]),"""

_OUTPUT_PORTS = """
    .m_axis_{n}_tdata({n}_data), .m_axis_{n}_tvalid({n}_valid),
    .m_axis_{n}_tready({n}_ready), .m_axis_{n}_tlast({n}_last)"""

_MONITOR = """
  localparam {n}_bits = {bits};
  wire [{n}_bits-1:0] {n}_data;
  wire {n}_valid, {n}_last;
  reg {n}_ready, {n}_held, {n}_held_last;
  reg [{n}_bits-1:0] {n}_held_data;
  reg [31:0] {n}_errors;
  integer {n}_stall, {n}_file;
  initial begin
    if (!$value$plusargs("stall_{n}=%d", {n}_stall)) {n}_stall = 0;
    {n}_file = $fopen("{n}.hex", "w");
  end
  always @(posedge aclk)
    if (!aresetn) begin
      {n}_ready <= 0; {n}_held <= 0; {n}_held_data <= 0; {n}_held_last <= 0; {n}_errors <= 0;
    end else begin
      {n}_ready <= y_random[{high}-:16] >= {n}_stall;
      if ({n}_valid && {n}_ready) $fdisplay({n}_file, "%h%h %0d", {n}_last, {n}_data, cycle);
      {n}_held <= {n}_valid && !{n}_ready;
      {n}_held_data <= {n}_data;
      {n}_held_last <= {n}_last;
      if ({n}_held && (!{n}_valid || {n}_data !== {n}_held_data || {n}_last !== {n}_held_last))
        {n}_errors <= {n}_errors + 1;
    end
"""

_DRIVER = """
  localparam {n}_bits = {bits};
  integer {n}_file, {n}_got, {n}_stall;
  reg [{n}_bits+3:0] {n}_word, {n}_next;
  reg {n}_valid;
  wire {n}_ready;
  initial begin
    {n}_file = $fopen("{n}.hex", "r");
    if (!$value$plusargs("stall_{n}=%d", {n}_stall)) {n}_stall = 0;
  end
  always @(posedge aclk)
    if (!aresetn) begin
      {n}_valid <= 0;
      {n}_word <= 0;
    end else if (!{n}_valid || {n}_ready) begin
      {n}_got = 0;
      if (random[16*{index} +: 16] >= {n}_stall) {n}_got = $fscanf({n}_file, "%h", {n}_next);
      {n}_valid <= {n}_got == 1;
      if ({n}_got == 1) {n}_word <= {n}_next;
    end
"""

_BENCH = """module bench (
  input aclk,
  input aresetn,
  output reg done,
  output reg [31:0] outputs,
  output reg [31:0] first_cycle,
  output reg [31:0] last_cycle,
  output [31:0] protocol_errors,
  output reg [31:0] cycle
);
  reg [63:0] random;    // of the inputs
  reg [63:0] y_random;  // of the outputs
  reg [63:0] seed;
  integer expect_outputs, limit;
  initial begin
    if (!$value$plusargs("seed=%d", seed)) seed = 1;
    if (!$value$plusargs("expect=%d", expect_outputs)) expect_outputs = 0;
    if (!$value$plusargs("limit=%d", limit)) limit = 1000000;
  end
  always @(posedge aclk)
    if (!aresetn) begin
      random <= {{seed[31:0], 32'h9E3779B9}};
      y_random <= {{32'h9E3779B9, seed[31:0]}};
    end else begin
      random <= _xorshift(random);
      y_random <= _xorshift(y_random);
    end

  function [63:0] _xorshift(input [63:0] x);
    reg [63:0] t;
    begin
      t = x ^ (x << 13);
      t = t ^ (t >> 7);
      _xorshift = t ^ (t << 17);
    end
  endfunction
{drivers}{monitors}
  reg started;
  reg [31:0] idle;
  assign protocol_errors = {errors};

  {name} dut (
    .aclk(aclk), .aresetn(aresetn),{ports}{outputs}
  );

  always @(posedge aclk)
    if (!aresetn) begin
      done <= 0; outputs <= 0; first_cycle <= 0; last_cycle <= 0; cycle <= 0; started <= 0; idle <= 0;
    end else begin
      cycle <= cycle + 1;
      if (({starts}) && !started) begin
        started <= 1;
        first_cycle <= cycle;
      end
      if (y_valid && y_ready) begin
        outputs <= outputs + 1;
        last_cycle <= cycle;
      end
      if ({accepted}) idle <= 0;
      else idle <= idle + 1;
      if ((outputs >= expect_outputs && idle >= {idle}) || cycle >= limit) begin
        if (!done) begin {close} end
        done <= 1;
      end
    end
endmodule
"""
