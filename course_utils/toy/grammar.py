"""The words and sentence frames of the toy language: data only, read by `generator`.

A *frame* is a sentence with slots. `{name}` draws a word from the class `name`; everything else stands as it
is written. Two marks tie slots of one frame together, so that a choice made in one place shows in another:

- `{dog#}` is a pair of a singular and a plural word written `dog/dogs`; all `#` slots of a sentence take the
  same side, so that "these dogs are" agrees with itself;
- `{good~}` is a pair of a positive and a negative word written `good/bad`; all `~` slots take the same side,
  which is the sentiment of the sentence, and `{good^}` takes the other side ("bad but lovely").

Inside a class the k-th word has a weight of 1/k (Zipf's law), so the order of the words is their frequency.
"""

TOPICS = ("money", "river", "pets", "sport", "woods", "garden", "film", "kitchen")

#: A document is about one person. The pronoun classes below have one entry a person, in this order.
PERSONS = ("anna", "ben", "clara", "david", "emma", "frank", "grace", "henry")
FEMALE = frozenset({"anna", "clara", "emma", "grace"})

#: What an ambiguous word means is settled by the topic of the document: a gold label for every occurrence.
SENSES = {
    "bank": {"money": "money", "river": "river"},
    "bat": {"sport": "club", "woods": "animal"},
    "bark": {"pets": "sound", "woods": "tree"},
    "spring": {"river": "water", "garden": "season"},
    "match": {"sport": "game", "kitchen": "fire"},
    "light": {"film": "lamp", "kitchen": "not heavy"},
}

#: Classes whose words are the same in every document.
CLASSES = {
    "day": "monday tuesday wednesday thursday friday saturday sunday",
    "when": "yesterday today again recently",
    "city": "paris london rome berlin madrid",
    "friend": "sister brother mother father teacher neighbour",
    "feeling~": "happy/sad glad/angry proud/tired calm/afraid",
    "liked~": "liked/hated loved/disliked enjoyed/ignored",
    "fine~": "good/bad lovely/awful nice/dull perfect/horrible",
    "smiled~": "smiled/cried laughed/sighed sang/shouted",
    "great~": "great/terrible wonderful/boring good/bad",
    "best~": "best/worst",
    "number": "two three four five ten",
    "this#": "this/these",
    "that#": "that/those",
    "is#": "is/are",
    "was#": "was/were",
    "has#": "has/have",
    "it#": "it/they",
    "looks#": "looks/look",
    "colour": "black white red green brown grey",
    "size": "big small tall long tiny",
}

#: Classes whose words depend on the topic.
TOPIC_CLASSES = {
    "place": {
        "money": "bank market office",
        "river": "river bank spring bridge",
        "pets": "park vet house",
        "sport": "stadium field gym match",
        "woods": "woods forest hill",
        "garden": "garden greenhouse farm",
        "film": "cinema theatre museum",
        "kitchen": "kitchen bakery cafe",
    },
    "do": {
        "money": "deposit borrow save withdraw",
        "river": "catch watch feed draw",
        "pets": "walk feed wash brush",
        "sport": "watch win lose join",
        "woods": "find collect pick study",
        "garden": "plant water pick sell",
        "film": "watch see praise discuss",
        "kitchen": "eat cook buy taste",
    },
    "goods": {
        "money": "money cash coins gold",
        "river": "fish ducks frogs swans",
        "pets": "dogs cats ponies rabbits",
        "sport": "games races matches finals",
        "woods": "mushrooms berries leaves nuts",
        "garden": "roses tulips beans flowers",
        "film": "movies films comedies plays",
        "kitchen": "soup bread cake rice",
    },
    "thing#": {
        "money": "account/accounts loan/loans cheque/cheques bill/bills",
        "river": "boat/boats fish/fish wave/waves stone/stones",
        "pets": "dog/dogs cat/cats puppy/puppies rabbit/rabbits",
        "sport": "player/players bat/bats ball/balls team/teams",
        "woods": "tree/trees bat/bats deer/deer path/paths",
        "garden": "rose/roses seed/seeds tulip/tulips bee/bees",
        "film": "actor/actors scene/scenes light/lights ticket/tickets",
        "kitchen": "pan/pans plate/plates match/matches cake/cakes",
    },
    "items": {
        "money": "coins papers letters stamps",
        "river": "boats stones ducks fish",
        "pets": "dogs cats ponies rabbits",
        "sport": "players balls shirts seats",
        "woods": "trees leaves berries nuts",
        "garden": "roses tulips beans seeds",
        "film": "seats posters tickets masks",
        "kitchen": "plates pans cups cakes",
    },
    "kind": {
        "money": "new joint big small",
        "river": "small long flat tiny",
        "pets": "brown white big young",
        "sport": "new tall good big",
        "woods": "old big brown black",
        "garden": "red white small yellow",
        "film": "new young long big",
        "kitchen": "big small blue cheap",
    },
    "state": {
        "money": "safe empty late private",
        "river": "wet slow cold quiet",
        "pets": "hungry sleepy playful noisy",
        "sport": "fast strong ready heavy",
        "woods": "wild dark silent thin",
        "garden": "young fresh bright sweet",
        "film": "famous funny clever loud",
        "kitchen": "hot clean sharp warm",
    },
    "scenic": {
        "money": "busy strict careful rich",
        "river": "scenic muddy green steep",
        "pets": "clever friendly gentle loyal",
        "sport": "exciting hard close rough",
        "woods": "quiet misty dark ancient",
        "garden": "sunny colourful pretty tidy",
        "film": "moving strange serious short",
        "kitchen": "tasty light salty spicy",
    },
}

#: Classes whose word is settled by the person of the document.
PERSON_CLASSES = {
    "name": {person: person for person in PERSONS},
    "he": {person: "she" if person in FEMALE else "he" for person in PERSONS},
    "him": {person: "her" if person in FEMALE else "him" for person in PERSONS},
    "his": {person: "her" if person in FEMALE else "his" for person in PERSONS},
}

#: Sentences come in three kinds. A scene tends to be followed by an event, an event by a remark, a remark by
#: a new scene: this drift is what makes the order of two sentences predictable.
STAGES = ("scene", "event", "remark")
STAGE_TRANSITIONS = (
    (0.10, 0.75, 0.15),
    (0.10, 0.25, 0.65),
    (0.75, 0.15, 0.10),
)

#: Frames that every topic uses, by stage.
COMMON_FRAMES = {
    "scene": (
        "{name} went to the {place} on {day}",
        "on {day} {name} was at the {place}",
        "{name} and {his} {friend} met at the {place}",
        "where did {name} go on {day} ? to the {place}",
        "i went to the {place} to {do} {goods}",
        "{name} lives in {city} near the {place}",
        "{name} came from {city} to {do} {goods}",
        "who is at the {place} ? {name} and {his} {friend}",
    ),
    "event": (
        "{this#} {kind} {thing#} {was#} {state} {when}",
        "{he} wanted to {do} {goods} with {his} {friend}",
        "{that#} {thing#} at the {place} {looks#} {state}",
        "{number} of the {items} near the {place} were {colour}",
    ),
    "remark": (
        "it was {feeling~}",
        "it was very {scenic}",
        "{he} {smiled~} and was {feeling~}",
        "{he} said that {it#} {was#} {scenic}",
        "{his} {friend} {liked~} the {goods}",
        "it was the {best~} day of the year",
    ),
}

#: Frames of one topic, by stage.
TOPIC_FRAMES = {
    "money": {
        "event": (
            "the bank was robbed {when}",
            "the bank lent {him} {number} gold coins",
            "a thief stole the {goods} from the bank",
            "{he} signed the cheque at the bank",
            "the bank keeps the {goods} in a safe",
        ),
    },
    "river": {
        "event": (
            "the river bank was very {scenic}",
            "the bank was wet after the rain",
            "{he} sat on the bank and saw {goods}",
            "cold water ran from the spring {when}",
            "the boat turned to the left bank",
        ),
    },
    "pets": {
        "event": (
            "the cat sat on the mat",
            "the {colour} cat slept on the mat",
            "the bark of the dog woke {him}",
            "{he} heard a bark from the {size} puppy",
            "the dog chased the cat to the {place}",
        ),
    },
    "sport": {
        "event": (
            "{he} hit the ball with a {size} bat",
            "the bat broke in the last game",
            "the match was lost {when}",
            "{his} team won the match on {day}",
            "the {kind} player threw the ball to {him}",
        ),
    },
    "woods": {
        "event": (
            "a {size} bat flew out of the cave",
            "the bat slept in the hollow tree",
            "the bark of the tree was {colour}",
            "{he} touched the rough bark {when}",
            "the deer ran deep into the {place}",
        ),
    },
    "garden": {
        "event": (
            "in spring the {goods} are {colour}",
            "the spring was warm this year",
            "{he} planted {goods} under the old tree",
            "the bees came to the roses in spring",
            "{his} {friend} cut the grass {when}",
        ),
    },
    "film": {
        "event": (
            "the light in the {place} went out",
            "a {size} light fell on the actor",
            "the story was {fine~} and the actors were {fine~}",
            "the story was {fine^} but the actors were {fine~}",
            "the actors were not {fine^} in this film",
            "{he} bought {number} tickets for the film",
        ),
        "remark": (
            "{great~} movie !",
            "{great~} film and {great~} actors !",
            "i {liked~} this film a lot",
        ),
    },
    "kitchen": {
        "event": (
            "{he} lit the stove with a match",
            "the match burned {his} hand {when}",
            "{he} ate a light meal with {his} {friend}",
            "the {goods} in the pan tasted {fine~}",
            "{he} washed the plates and the {size} pan",
        ),
    },
}
