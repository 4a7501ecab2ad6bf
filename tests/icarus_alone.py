"""Products in Icarus without cocotb, which takes longer to start: design and bench are those that cocotb runs."""

import re
import subprocess

from simulation import read_products, verilog, write_streams

from sim.bench import bench

CLOCK = """module clock;
  reg aclk = 0, aresetn = 0;
  wire done;
  wire [31:0] errors, first, last;
  bench bench (.aclk(aclk), .aresetn(aresetn), .done(done), .protocol_errors(errors),
               .first_cycle(first), .last_cycle(last));
  always #1 aclk = ~aclk;
  initial begin
    repeat (4) @(posedge aclk);
    aresetn <= 1;
    @(posedge done) $display("errors %0d, cycles %0d", errors, last - first + 1);
    $finish;
  end
endmodule
"""


def compiled(spec, folder):
    """Puts the design and its bench, compiled, into a folder."""
    for name, text in ((spec.name, verilog(spec)), ("bench", bench(spec)), ("clock", CLOCK)):
        (folder / f"{name}.v").write_text(text)
    sources = [f"{name}.v" for name in (spec.name, "bench", "clock")]
    subprocess.run(["iverilog", "-g2012", "-o", "clock.vvp", *sources], cwd=folder, check=True, capture_output=True)


def simulated(spec, products, folder, **stalls):
    """Outputs of each product and the cycles of the whole, of products that follow each other on the same streams."""
    plusargs = write_streams(spec, products, folder)
    plusargs += [f"+stall_{name}={int(stall * 65536)}" for name, stall in stalls.items()]
    done = subprocess.run(["vvp", "clock.vvp", *plusargs], cwd=folder, check=True, capture_output=True, text=True)
    errors, cycles = re.search(r"errors (\d+), cycles (\d+)", done.stdout).groups()
    assert errors == "0"
    return read_products(spec, products, folder), int(cycles)
