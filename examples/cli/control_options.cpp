#include <charconv>
#include <cmath>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/pipeline/control.hpp>

#include "order.hpp"

namespace daguerre::cli {
namespace {

/// The number behind the last colon of `text`, which is cut off; nothing, and `text` as it was, where there
/// is none.
std::optional<double> cut_number(std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0 || colon + 1 == text.size()) return std::nullopt;
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value)) return std::nullopt;
  text.resize(colon);
  return value;
}

/// FILE[:SCALE[:START[:END]]]; a file that is called so is taken whole.
ControlUse control_called(std::string text) {
  constexpr std::size_t most = 3;
  std::vector<double> numbers;  // from the last one
  std::error_code error;
  while (numbers.size() < most && !std::filesystem::exists(text, error)) {
    const auto number = cut_number(text);
    if (!number) break;
    numbers.push_back(*number);
  }
  ControlUse result;
  const auto count = numbers.size();
  if (count > 0) result.scale = static_cast<float>(numbers[count - 1]);
  if (count > 1) result.start = numbers[count - 2];
  if (count > 2) result.end = numbers[count - 3];
  result.image = Image::load(text);
  return result;
}

}  // namespace

void add_control_options(CLI::App& app, Order& order) {
  auto* nets =
      app.add_option("--control-net", order.control_nets,
                     "A ControlNet or T2I-Adapter, a folder or a file; may be given several times, each "
                     "with its --control-image, in order")
          ->check(file_name())
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->type_name("PATH")
          ->group(groups::from);
  app.add_option(
         "--control-image", order.control_images,
         "The picture that it keeps to (edges, depths, a pose …), how strongly (1), and from which part of "
         "the steps (0) to which (1)")
      ->check(file_name())
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->needs(nets)
      ->type_name("FILE[:SCALE[:START[:END]]]")
      ->group(groups::from);
  app.add_option("--control-mode", order.control_modes,
                 "Of union ControlNets: which kind of picture it is, one number for each of them")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->needs(nets)
      ->type_name("N")
      ->group(groups::from);
  app.add_option("--control-resize", order.control_resize,
                 "How such a picture is brought to the size: stretch, crop what hangs over, or fit all of it")
      ->check(CLI::IsMember({"stretch", "crop", "fit"}))
      ->needs(nets)
      ->type_name("NAME")
      ->default_str("stretch")
      ->group(groups::from);
  app.add_flag("--guess-mode", order.guess_mode, "Let ControlNets steer more than the prompt does")
      ->needs(nets)
      ->group(groups::from);
  app.add_flag("--control-inpaint", order.control_hides_masked,
               "For in-painting ControlNets: blot out in their pictures what --mask covers")
      ->needs(nets)
      ->group(groups::from);
}

void read_controls(Order& order) {
  if (order.control_nets.size() != order.control_images.size())
    throw ArgumentError("--control-image", std::to_string(order.control_images.size()) + " for " +
                                               std::to_string(order.control_nets.size()) +
                                               " of --control-net: each needs one");
  for (const auto& text : order.control_images) {
    auto use = control_called(text);
    use.guess_mode = order.guess_mode;
    use.hides_masked = order.control_hides_masked;
    use.resize = order.control_resize == "crop"  ? ControlResize::crop
                 : order.control_resize == "fit" ? ControlResize::fit
                                                 : ControlResize::stretch;
    order.request.controls.push_back(std::move(use));
  }
}

void load_controls(Order& order, const Pipeline& pipeline) {
  auto& controls = order.request.controls;
  std::size_t modes = 0;
  for (std::size_t i = 0; i < controls.size(); ++i) {
    // The same network twice is one.
    for (std::size_t j = 0; j < i && controls[i].control == nullptr; ++j)
      if (order.control_nets[j] == order.control_nets[i]) controls[i].control = controls[j].control;
    if (controls[i].control == nullptr) controls[i].control = pipeline.load_control(order.control_nets[i]);
    if (controls[i].control->info().modes > 0 && modes < order.control_modes.size())
      controls[i].mode = order.control_modes[modes++];
  }
  if (modes < order.control_modes.size())
    throw ArgumentError("--control-mode", std::to_string(order.control_modes.size()) + " for " +
                                              std::to_string(modes) + " unions");
}

}  // namespace daguerre::cli
