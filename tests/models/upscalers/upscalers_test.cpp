// RRDBNet and SRVGGNetCompact against torch's numbers, under all names; tiles against the whole picture.
#include "daguerre/models/upscalers/rrdbnet.hpp"
#include "daguerre/models/upscalers/srvgg.hpp"
#include "daguerre/pipeline/upscaler.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

std::filesystem::path upscaler_file(const std::string& name) {
  return std::filesystem::path(DAGUERRE_TEST_DATA) / "upscalers" / (name + ".safetensors");
}

weights::SafetensorsFile recorded(const std::string& name) {
  return weights::SafetensorsFile::open(upscaler_file(name + "_io"));
}

/// The recorded input as a picture.
Image recorded_picture(const std::string& name) {
  const auto x = channels_last(recorded(name), "in.x");
  Image image(x.dim(2), x.dim(1), 3);
  for (std::size_t i = 0; i < image.pixels().size(); ++i)
    image.pixels()[i] = static_cast<std::uint8_t>(x.span()[i] * 255.0f + 0.5f);
  return image;
}

/// The largest difference of two pictures' values.
int distance(const Image& a, const Image& b) {
  REQUIRE((a.width() == b.width() && a.height() == b.height() && a.channels() == b.channels()));
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels().size(); ++i)
    largest = std::max(largest, std::abs(int{a.pixels()[i]} - int{b.pixels()[i]}));
  return largest;
}

Image noise_picture(Index width, Index height, Index channels) {
  Image image(width, height, channels);
  std::uint32_t state = 1;
  for (auto& value : image.pixels())
    value = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  return image;
}

using Rename = std::string (*)(const std::string&);

/// The tensors of rrdbnet_x4 under other names.
std::filesystem::path renamed_copy(const TempFolder& folder, Rename rename) {
  const auto file = weights::SafetensorsFile::open(upscaler_file("rrdbnet_x4"));
  weights::SafetensorsWriter writer;
  for (const auto& info : file.tensors()) writer.add(rename(info.name), file.read<float>(info.name));
  writer.save(folder / "renamed.safetensors");
  return folder / "renamed.safetensors";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  return at == text.npos ? text : text.replace(at, from.size(), to);
}

std::string first_release_name(const std::string& name) {
  auto result = replaced(replaced(name, "body.", "RRDB_trunk."), "rdb", "RDB");
  return replaced(replaced(replaced(result, "conv_RRDB_trunk.", "trunk_conv."), "conv_hr", "HRconv"),
                  "conv_up", "upconv");
}

std::string sequence_name(const std::string& name) {
  if (name.starts_with("body."))
    return replaced(
        replaced(replaced(replaced(name, "body.", "model.1.sub."), "rdb", "RDB"), ".weight", ".0.weight"),
        ".bias", ".0.bias");
  for (const auto& [from, to] : {std::pair{"conv_first", "model.0"},
                                 {"conv_body", "model.1.sub.2"},
                                 {"conv_up1", "model.3"},
                                 {"conv_up2", "model.6"},
                                 {"conv_hr", "model.8"},
                                 {"conv_last", "model.10"}})
    if (name.starts_with(from)) return replaced(name, from, to);
  return name;
}

}  // namespace

TEST_CASE("upscalers compute what torch computes", "[upscaler]") {
  for (const auto& engine : ops::engine_names()) {
    const ops::Context context{.engine = ops::make_engine(engine), .threads = 1};
    for (const std::string name : {"rrdbnet_x4", "rrdbnet_x2_unshuffled", "srvgg_x4"}) {
      INFO(engine << " " << name);
      const auto state = weights::StateDict::load(upscaler_file(name));
      const auto file = recorded(name);
      const auto x = channels_last(file, "in.x"), expected = channels_last(file, "out.y");
      const nn::Loader loader{weights::Scope(state), context};
      const auto actual = models::is_rrdbnet(state)
                              ? models::RrdbNet<float>(models::RrdbNetConfig::from(state), loader)(context, x)
                              : models::Srvgg<float>(models::SrvggConfig::from(state), loader)(context, x);
      CHECK(difference(actual, expected).rel_l2 < 1e-6);
      CHECK(state.unused().empty());
    }
  }
}

TEST_CASE("an upscaler's file is told by its tensors", "[upscaler]") {
  const TempFolder folder;
  const Image image = recorded_picture("rrdbnet_x4");
  const auto upscaler = Upscaler::load(upscaler_file("rrdbnet_x4"), {.engine = "native", .threads = 1});
  CHECK(upscaler.description() == "RRDBNet, 2 blocks of 4 channels, x4");
  CHECK(upscaler.scale() == 4);
  const Image expected = upscaler(image);
  for (const Rename rename : {first_release_name, sequence_name})
    CHECK(distance(Upscaler::load(renamed_copy(folder, rename), {.engine = "native", .threads = 1})(image),
                   expected) == 0);
  CHECK(Upscaler::load(upscaler_file("rrdbnet_x2_unshuffled")).scale() == 2);
  CHECK(Upscaler::load(upscaler_file("srvgg_x4")).description() ==
        "SRVGGNetCompact, 2 convolutions of 5 channels, x4");
  CHECK(Upscaler::load(upscaler_file("srvgg_x4"), {.precision = Precision::bfloat16})(image).width() == 28);

  expect_error<WeightError>([&] { (void)Upscaler::load(upscaler_file("srvgg_x4_io")); },
                            {"no upscaler that is known", "in.x"});
  const auto without = [&](const std::string& lost) {
    const auto file = weights::SafetensorsFile::open(upscaler_file("rrdbnet_x4"));
    weights::SafetensorsWriter writer;
    for (const auto& info : file.tensors())
      if (info.name != lost) writer.add(info.name, file.read<float>(info.name));
    writer.save(folder / "without.safetensors");
    return folder / "without.safetensors";
  };
  expect_error<WeightError>([&] { (void)Upscaler::load(without("body.1.rdb2.conv3.bias")); },
                            {"body.1.rdb2.conv3.bias"});
  expect_error<WeightError>([&] { (void)Upscaler::load(without("conv_last.weight")); }, {"conv_last.weight"});
  CHECK_FALSE(Upscaler::try_load(folder / "nothing.safetensors").has_value());
}

TEST_CASE("tiles make the picture that the whole makes", "[upscaler]") {
  // Its convolutions see 4 pixels to each side.
  const auto upscaler = Upscaler::load(upscaler_file("srvgg_x4"), {.engine = "native", .threads = 2});
  const Image image = noise_picture(75, 50, 3);
  const Image whole = upscaler(image, {.tile = 0});
  int last = 0, total = 0;
  const Image tiled = upscaler(image, {.tile = 64, .overlap = 16, .on_tile = [&](int done, int of) {
                                         last = done;
                                         total = of;
                                         return true;
                                       }});
  CHECK(distance(tiled, whole) <= 1);
  CHECK(last == 2);
  CHECK(total == 2);
  CHECK(distance(upscaler(noise_picture(90, 70, 3), {.tile = 32, .overlap = 8}),
                 upscaler(noise_picture(90, 70, 3), {.tile = 0})) > 1);  // a quarter of 8 is less than 4

  // Sides that are no multiples of what becomes channels, and tiles that begin at such.
  const auto halving = Upscaler::load(upscaler_file("rrdbnet_x2_unshuffled"), {.threads = 2});
  CHECK(halving(noise_picture(33, 17, 3), {.tile = 16, .overlap = 4}).width() == 66);
  CHECK(halving(noise_picture(1, 1, 3)).height() == 2);

  // Grey stays grey, alpha is enlarged beside the colours, other sizes are reached.
  CHECK(upscaler(noise_picture(9, 8, 1)).channels() == 1);
  const Image rgba = noise_picture(9, 8, 4);
  CHECK(upscaler(rgba, 30, 20).channels() == 4);
  CHECK(upscaler(rgba, 200, 20).width() == 200);

  expect_error<ArgumentError>([&] { (void)upscaler(image, {.tile = 32, .overlap = 16}); }, {"32", "16"});
  expect_error<ArgumentError>([&] { (void)upscaler(image, {.tile = -1}); }, {"-1"});
  expect_error<ArgumentError>([&] { (void)upscaler(Image()); }, {"empty"});
  expect_error<ArgumentError>([&] { (void)upscaler(noise_picture(5000, 1, 3)); }, {"20000 x 4"});
  CHECK_THROWS_AS(upscaler(image, {.on_tile = [](int, int) { return false; }}), Cancelled);
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(upscaler(image, {.stop = stop.get_token()}), Cancelled);
}
