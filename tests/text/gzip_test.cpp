#include "text/gzip.hpp"

#include <string>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;

namespace {

std::string from_hex(std::string_view hex) {
  std::string result;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    result.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return result;
}

std::string unzipped(const std::string& file, std::size_t limit = 1 << 20) {
  return text::gunzip(std::as_bytes(std::span(file)), limit, "x.gz");
}

// "the cat and the hat and the cat\n", by Python's gzip module: with fixed codes; with all optional fields of
// the header; stored; and a longer text with codes of its own.
const std::string fixed =
    from_hex("1f8b08000000000000ff2bc94855484e2c5148cc4b512801b23390d840712e0012a7e2d920000000");
const std::string with_header = from_hex(
    "1f8b081f0000000000ff03006162636e616d652e74787400636f6d6d656e740012342bc94855484e2c5148cc4b"
    "512801b23390d840712e0012a7e2d920000000");
const std::string stored = from_hex(
    "1f8b08000000000000ff012000dfff7468652063617420616e64207468652068617420616e6420746865206361"
    "740a12a7e2d920000000");
const std::string dynamic = from_hex(
    "1f8b08000000000000ff4556cb75e4300cbbab8a9420fea972f2de9eb7ff63e831a0b9646259a2481000bd97fc"
    "fcfefff7e39fbfe7f357f2f3a3f1f9b1f7c9cfca7753bf2764eff757f1ec8ed38872722962682064bfef4c1db1"
    "713b62b9cbf27edf85be7ba3deb3895889e7c2fb6a5fed6f9c83382799232e928d9b45908a4c6e4bf4e0c998b5"
    "b38c605dc942939557fa9276d6098474b35a2182badf3d6afb8daabe656920a2e67e236af17df3c4410c63549b"
    "1cd70007040ddd304756c63cad90b9356ab19367f946adceaeb8010b77a0e309bcbcd8998174c506be216c8eb1"
    "3b8e7604fb13c595a3c3998d1313f98d916c7606eec8c2add9c8a376e42ae65986cc2bd0a52a545607b536e9d8"
    "da327c2057137875a34b8778ce49ac38303fb97d9dde97df6cfcd6bbe69b844a9c1a6a2190ccc6e194a8f1d9c9"
    "11492424d264917e1564e49a860fb5b4c8463d97a04443cce39296acb643a2bba4acb998b10709eab39bd41674"
    "4fc2d02cb9fd93e8ca3551b8278de7f2c64a2a4d4aa8b572e65093d7923accb36fee231aaedd1acfa6e4cec561"
    "5ab1971c6235f8033fddc454775178f2559e517a23dbb3f4090e29b287fa959fb2d76ac27de657b353da1ac132"
    "b61bef73b26ad4c8bc42996b50883a0a18b50ff3b127c95f1d8010ebb25c2be892451de820e74b9b4a19ff64ec"
    "433de909f467c8829e8d6914ed63faba6c1f3e0b953b48e19c29f53df64213513a80994c0e66f408b3469e769d"
    "642879b87650a385d17e621c698dd733767e3dab6963759dad12385b5fef1b831ff36bbae3d07d5f6bdb778670"
    "8a8c4ab9d6d8e7325ebc1e71d004197b58cb11a7f47437455ef30eb9ce6c1a4eba732e0c0f519f07a78747d164"
    "f3ba6c266db6660a2dafb826cb3935338fb93767991f457ffc70d6c51e6d8d1d5faf954db3953b2f47369ca04e"
    "df56f22686c4b2c21a398473268f9323cf08e63e8c3cb477cef51817f015c5b93ff399b17b03ab188a20fe0810"
    "e74e00e7d93f9ccc1de8c5438c83ff62735c6cf430af5ed3ee9acdbef54c129cf31b2bd8d78c7b5f3287a71588"
    "3fbd909537f7e932ea7928893d87350f0a1c41fb4ea55dcf9012e257424c4bf95d5317f732f662a619fa53c3a5"
    "b32ad8c3ba1e3cdae35adeef9c221faac8917a78b3aac9a3b15ce4d09b5f3cbdc9bf16e6de429ef6e47a562bb9"
    "dc467eb7df91ead4400775d141ad0c5cf361d245dcc7d8d18b6e7eff7453877da8cd3fc0ef09187a0a0000");

}  // namespace

TEST_CASE("gzip files are read, whatever their blocks and headers", "[text][gzip]") {
  const std::string text = "the cat and the hat and the cat\n";
  CHECK(text::is_gzip(std::as_bytes(std::span(fixed))));
  CHECK_FALSE(text::is_gzip(std::as_bytes(std::span(text))));
  CHECK(unzipped(fixed) == text);
  CHECK(unzipped(with_header) == text);
  CHECK(unzipped(stored) == text);
  std::string longer;
  for (int i = 0; i < 300; ++i) longer += std::to_string(i * i) + (i % 7 == 0 ? "\n" : " and ");
  CHECK(unzipped(dynamic) == longer);
}

TEST_CASE("malformed gzip files are refused", "[text][gzip]") {
  const auto refuse = [](const std::string& file, std::initializer_list<std::string_view> parts) {
    test::expect_error<FormatError>([&] { unzipped(file); }, parts);
  };
  for (std::size_t size = 0; size < fixed.size(); ++size) refuse(fixed.substr(0, size), {"x.gz"});
  for (std::size_t size = 0; size < with_header.size(); ++size) refuse(with_header.substr(0, size), {"x.gz"});
  auto other_method = fixed;
  other_method[2] = 7;
  refuse(other_method, {"no gzip file"});
  auto other_sum = fixed;
  other_sum[other_sum.size() - 8] ^= 1;
  refuse(other_sum, {"checksum"});
  auto other_block = fixed;
  other_block[10] |= 6;
  refuse(other_block, {"a block of no kind"});
  test::expect_error<FormatError>([] { unzipped(dynamic, 100); }, {"more than 100 bytes"});
  // Whatever is changed, it is read or refused.
  for (std::size_t place = 10; place < dynamic.size(); place += 3)
    for (const char bits : {'\x01', '\x55', '\x80'}) {
      auto changed = dynamic;
      changed[place] = static_cast<char>(changed[place] ^ bits);
      try {
        unzipped(changed);
      } catch (const FormatError&) {
      }
    }
}
