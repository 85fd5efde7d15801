___TERMS_OF_SERVICE___

By creating or modifying this file you agree to Google Tag Manager's Community
Template Gallery Developer Terms of Service available at
https://developers.google.com/tag-manager/gallery-tos (or such other URL as
Google may provide), as modified from time to time.


___INFO___

{
  "type": "TAG",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "Etalage: data layer",
  "categories": [
    "PERSONALIZATION",
    "ANALYTICS"
  ],
  "brand": {
    "id": "brand_dummy",
    "displayName": "Etalage"
  },
  "description": "Loads Etalage's tracker and the listener of the data layer: GA4 ecommerce events become events of your shop in your own Etalage. Fire it once, on every page.",
  "containerContexts": [
    "WEB"
  ]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "writeKey",
    "displayName": "Write key",
    "simpleValueType": true,
    "valueValidators": [
      {
        "type": "NON_EMPTY"
      }
    ],
    "defaultValue": "",
    "help": "The public key of your store, from Settings → API keys. It starts with <strong>pk_</strong>, and may be seen by anybody."
  },
  {
    "type": "TEXT",
    "name": "host",
    "displayName": "Address of your Etalage",
    "simpleValueType": true,
    "defaultValue": "https://etalage.example",
    "valueValidators": [
      {
        "type": "NON_EMPTY"
      },
      {
        "type": "REGEX",
        "args": [
          "^https://[^/ ]+/?$"
        ],
        "errorMessage": "Write it as https://etalage.example, without a path."
      }
    ],
    "help": "If you change it, change it under Permissions → Injects scripts too."
  },
  {
    "type": "GROUP",
    "name": "layers",
    "displayName": "Data layers",
    "groupStyle": "ZIPPY_CLOSED",
    "subParams": [
      {
        "type": "TEXT",
        "name": "dataLayerName",
        "displayName": "Name of Google's data layer",
        "simpleValueType": true,
        "defaultValue": "dataLayer"
      },
      {
        "type": "TEXT",
        "name": "adobeDataLayerName",
        "displayName": "Name of Adobe's data layer, if the page has one",
        "simpleValueType": true,
        "defaultValue": "adobeDataLayer"
      }
    ]
  },
  {
    "type": "CHECKBOX",
    "name": "usesConsentMode",
    "checkboxText": "Take the visitor's consent from Consent Mode",
    "simpleValueType": true,
    "defaultValue": false,
    "help": "Only where your consent tool sets Consent Mode's defaults on every page: Tag Manager counts a signal that nobody has set as granted. Your write key must be one whose consent comes with each message. Without it, Etalage's own banner decides."
  }
]


___SANDBOXED_JS_FOR_WEB_TEMPLATE___

const addConsentListener = require('addConsentListener');
const createQueue = require('createQueue');
const encodeUriComponent = require('encodeUriComponent');
const injectScript = require('injectScript');
const isConsentGranted = require('isConsentGranted');
const queryPermission = require('queryPermission');

const SIGNALS = [
  'analytics_storage',
  'personalization_storage',
  'ad_storage',
  'ad_personalization',
  'ad_user_data'
];

const wordOf = (granted) => granted ? 'granted' : 'denied';

// The listener hears the queue: first what it holds, then each later push.
const handOnConsent = () => {
  const tell = createQueue('etalageConsentSignals');
  const now = {};
  SIGNALS.forEach((signal) => {
    now[signal] = wordOf(isConsentGranted(signal));
    addConsentListener(signal, (name, granted) => {
      const changed = {};
      changed[name] = wordOf(granted);
      tell(changed);
    });
  });
  tell(now);
};

const host = data.host.charAt(data.host.length - 1) === '/' ? data.host.slice(0, -1) : data.host;
let url = host + '/etalage/datalayer.js?write-key=' + encodeUriComponent(data.writeKey) +
  '&google=' + encodeUriComponent(data.dataLayerName || 'dataLayer') +
  '&adobe=' + encodeUriComponent(data.adobeDataLayerName || 'adobeDataLayer');

if (data.usesConsentMode) {
  url = url + '&consent=consent-mode';
  handOnConsent();
}

if (queryPermission('inject_script', url)) {
  injectScript(url, data.gtmOnSuccess, data.gtmOnFailure, 'etalage');
} else {
  data.gtmOnFailure();
}


___WEB_PERMISSIONS___

[
  {
    "instance": {
      "key": {
        "publicId": "inject_script",
        "versionId": "1"
      },
      "param": [
        {
          "key": "urls",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 1,
                "string": "https://etalage.example/etalage/datalayer.js*"
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "access_globals",
        "versionId": "1"
      },
      "param": [
        {
          "key": "keys",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "key"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  },
                  {
                    "type": 1,
                    "string": "execute"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "etalageConsentSignals"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "access_consent",
        "versionId": "1"
      },
      "param": [
        {
          "key": "consentTypes",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "analytics_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "personalization_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_personalization"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_user_data"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  }
]


___TESTS___

scenarios:
- name: Loads the listener with the key and the names of the layers
  code: |-
    let injected;
    mock('queryPermission', true);
    mock('injectScript', (url, onSuccess) => {
      injected = url;
      onSuccess();
    });
    runCode({writeKey: 'pk_1', host: 'https://etalage.example/', dataLayerName: 'dataLayer', adobeDataLayerName: ''});
    assertThat(injected).isEqualTo('https://etalage.example/etalage/datalayer.js?write-key=pk_1&google=dataLayer&adobe=adobeDataLayer');
    assertApi('gtmOnSuccess').wasCalled();
    assertApi('isConsentGranted').wasNotCalled();
- name: Hands on consent where it is told to
  code: |-
    let injected;
    const told = [];
    let listener;
    mock('queryPermission', true);
    mock('injectScript', (url, onSuccess) => {
      injected = url;
      onSuccess();
    });
    mock('isConsentGranted', (signal) => signal === 'analytics_storage');
    mock('createQueue', () => (signals) => told.push(signals));
    mock('addConsentListener', (signal, callback) => {
      listener = callback;
    });
    runCode({writeKey: 'pk_1', host: 'https://etalage.example', usesConsentMode: true});
    assertThat(injected).contains('&consent=consent-mode');
    assertThat(told[0].analytics_storage).isEqualTo('granted');
    assertThat(told[0].ad_user_data).isEqualTo('denied');
    listener('ad_user_data', true);
    assertThat(told[1].ad_user_data).isEqualTo('granted');
- name: Fails where the host is not permitted
  code: |-
    mock('queryPermission', false);
    runCode({writeKey: 'pk_1', host: 'https://elsewhere.example'});
    assertApi('injectScript').wasNotCalled();
    assertApi('gtmOnFailure').wasCalled();
setup: ''


___NOTES___

Etalage serves the script from your own host. Set it in the field "Address of your Etalage" and under Permissions → Injects scripts; the
file that your Etalage's admin gives you (Settings → Data layers) has both set already.
