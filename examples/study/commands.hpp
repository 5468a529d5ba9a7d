#pragma once

namespace CLI {
class App;
}

namespace daguerre::study {

// Each adds its subcommand.
void add_sheet(CLI::App& parent);
void add_nearest(CLI::App& parent);
void add_best_of(CLI::App& parent);
void add_floor(CLI::App& parent);
void add_convergence(CLI::App& parent);

}  // namespace daguerre::study
